#pragma once
// What the privileged side asks of a sensor. Descriptors that travel with a request are named at
// it; what answers it is said there or in facts/reports.h.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "facts/flow_seen.h"
#include "facts/hold.h"
#include "facts/hold_rules.h"
#include "facts/memory_layout.h"
#include "facts/packet_ring.h"
#include "facts/policy_match.h"
#include "facts/process_seen.h"
#include "facts/signal_plan.h"

namespace outguard {

enum class MemoryKind : std::uint8_t { Live, DumpFile };

/// Descriptors: Live: those that layout.regions name by file_index, in order, then /proc/PID/mem
/// when a region needs it (file_index -1). DumpFile: the file. With symbols_file, one more: an ISF
/// file (Volatility 3 JSON, also .xz) to use where the kernel itself cannot tell.
struct AttachMemory {
  MemoryKind kind = MemoryKind::Live;
  MemoryLayout layout;
  std::string registers; ///< HMP `info registers -a`, unparsed; empty for a file
  bool symbols_file = false;

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.kind, self.layout, self.registers, self.symbols_file);
  }
};

/// Descriptors: a bound AF_PACKET TPACKET_V3 socket; a plain one that passes openings only.
struct OpenTap {
  PacketRing ring;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) { wire(self.ring); }
};

/// Descriptor: a pcap or pcapng file; the sensor runs it through the pipeline and answers
/// ReplayDone.
struct ReplayCapture {
  std::string name;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) { wire(self.name); }
};

/// Descriptors: a compiled intelligence image, sealed, and perhaps the delta that stands beside it.
/// Replaces what is in use, between two packets; without any, nothing is matched any more.
struct UseIntel {
  bool is_delta = false; ///< one, to stand beside the image in use, in place of an earlier delta
  bool verify = true;    ///< read all of it, against its checksum; false: somebody read the image

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.is_delta, self.verify);
  }
};

/// What the entries of a feed are for.
enum class FeedRole : std::uint8_t {
  Indicators,
  Allowlist,   ///< what they cover is not told
  Removals,    ///< for a delta: no indicators any more
  WarningList, ///< MISP's: refuses or flags indicators that come after it
};

/// Descriptor: one feed file to take into the next CompileIntel. Answered by FeedReports.
struct AddFeed {
  std::string name;
  bool allow_reserved = false; ///< accept private and documentation addresses (labs, own networks)
  FeedRole role = FeedRole::Indicators;
  std::string format; ///< "stix", "csv", ...; empty: detected
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.name, self.allow_reserved, self.role, self.format);
  }
};

/// Descriptor: an empty memfd or file, open for writing, that receives the image. Answered by an
/// IntelReport.
struct CompileIntel {
  bool is_delta = false; ///< may hold removals alone
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.is_delta);
  }
};

/// For a compiler: what would become of an indicator that a list gives so? Nothing is kept.
/// Answered by a ValueJudged.
struct JudgeValue {
  std::string value;
  bool allow_reserved = false;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.value, self.allow_reserved);
  }
};

/// What the intelligence in use holds, its delta too. Answered by IntelStats.
struct DescribeIntel {
  template <class Self, class Wire> static void fields(Self &, Wire &) {}
};

struct ListProcesses {
  bool cross_views = false; ///< compare all views of the kernel, and say what is hidden
  bool scan = false;        ///< one view more: all of RAM, for what has a task's shape
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.cross_views, self.scan);
  }
};

struct ListSockets {
  bool all = false; ///< other families too, and sockets neither bound nor connected
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) { wire(self.all); }
};

/// One process in depth. Answered by a ProcessDetailed; then, with `maps`, by MapRows.
struct DescribeProcess {
  std::int32_t pid = 0;
  bool hash = false; ///< the executable's SHA-256, out of the page cache
  bool maps = false;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.pid, self.hash, self.maps);
  }
};

struct FindOwner {
  FlowTuple tuple;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) { wire(self.tuple); }
};

struct PlanKill {
  ProcessIdentity process;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.process);
  }
};

/// Answered by SignalPlanMade.
struct PlanSignal {
  ProcessIdentity process;
  GuestSignal signal = GuestSignal::Kill;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.process, self.signal);
  }
};

struct CheckFate {
  ProcessIdentity process;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.process);
  }
};

/// Where a flow that was reported stands now, for a reset that fits.
struct LocateFlow {
  std::string interface;
  std::uint64_t flow_id = 0;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.interface, self.flow_id);
  }
};

/// A TCP flow whose packets were seen, whether it was reported or not.
struct FindFlow {
  FlowTuple tuple;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) { wire(self.tuple); }
};

/// What of the intelligence in use means one value (an address, endpoint, name, URL, fingerprint or
/// hash), and whether it matches now.
struct LookUp {
  std::string value;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) { wire(self.value); }
};

/// `registers` as in AttachMemory, read just now: do the CPUs still run the kernel that was found?
/// Empty where nobody can ask the CPUs: is that kernel still whole in memory? Answered by
/// KernelChecked; if not, the guest is Booting from then on.
struct CheckKernel {
  std::string registers;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.registers);
  }
};

struct GetCounters {
  template <class Self, class Wire> static void fields(Self &, Wire &) {}
};

/// Descriptors a process has open. Answered by OpenFileRows.
struct ListOpenFiles {
  ProcessIdentity process;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.process);
  }
};

/// Answered by EnvironmentRead.
struct ReadEnvironment {
  ProcessIdentity process;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.process);
  }
};

/// The files that a process runs code of, each hashed: in slices between the packets, so that the
/// answer may take seconds. Answered by LibraryRows.
struct HashLibraries {
  ProcessIdentity process;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.process);
  }
};

/// Descriptor: a memfd, sealed at the most bytes wanted, that takes the executable as the page
/// cache has it: likewise in slices. Answered by ExecutableCopied.
struct CopyExecutable {
  ProcessIdentity process;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.process);
  }
};

/// Descriptor: as above; takes the packets that the rings still hold, as pcapng. Answered by
/// PacketsCopied.
struct CopyPackets {
  template <class Self, class Wire> static void fields(Self &, Wire &) {}
};

/// Answered by GuestStateSeen, as it is now.
struct DescribeGuest {
  template <class Self, class Wire> static void fields(Self &, Wire &) {}
};

/// To a packer. Descriptor: a file, open for writing, that takes a tar archive packed by zstd of at
/// most so many bytes. Answered by Done, as is CloseArchive.
struct OpenArchive {
  std::string folder; ///< of all members; letters, digits, "-"
  std::uint64_t most_bytes = 0;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.folder, self.most_bytes);
  }
};

/// Descriptor: what becomes the archive's next member, its first `bytes`. Answered by PartPacked.
struct PackPart {
  std::string name;         ///< letters, digits, ".", "_", "-": nothing that a guest chose
  std::uint64_t bytes = 0;  ///< zeros beyond the descriptor's end
  std::int64_t read_ns = 0; ///< wall clock: the member's time
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.name, self.bytes, self.read_ns);
  }
};

struct CloseArchive {
  template <class Self, class Wire> static void fields(Self &, Wire &) {}
};

/// Descriptors, of each tap in turn: as facts/hold.h lists them. The first request of a sensor that
/// was started to hold, before it gives up its rights; at most kMostHeldTaps. Answered by Done.
struct HoldTaps {
  struct Tap {
    std::string interface;
    HoldSettings settings;
    template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
      wire(self.interface, self.settings);
    }
  };
  std::vector<Tap> taps;
  HoldRules rules;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.taps, self.rules);
  }
};
inline constexpr std::size_t kMostHeldTaps = 6; ///< in one message's descriptors

using Request = std::variant<AttachMemory, OpenTap, ReplayCapture, UseIntel, AddFeed, CompileIntel,
                             ListProcesses, ListSockets, DescribeProcess, FindOwner, PlanKill,
                             CheckFate, LocateFlow, LookUp, CheckKernel, GetCounters, JudgeValue,
                             DescribeIntel, PlanSignal, UsePolicy, ListOpenFiles, ReadEnvironment,
                             HashLibraries, CopyExecutable, CopyPackets, OpenArchive, PackPart,
                             CloseArchive, HoldTaps, DescribeGuest, FindFlow>;

} // namespace outguard
