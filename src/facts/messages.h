#pragma once
// What the privileged side and a sensor say to each other over one SOCK_SEQPACKET pair: a Request
// or a Report a message. A Report that answers carries its Request's id; one that nobody asked for,
// id 0.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "facts/flow_seen.h"
#include "facts/indicator_explained.h"
#include "facts/intel_report.h"
#include "facts/intel_stats.h"
#include "facts/kernel_seen.h"
#include "facts/match_counts.h"
#include "facts/memory_layout.h"
#include "facts/packet_ring.h"
#include "facts/process_detail.h"
#include "facts/process_seen.h"
#include "facts/socket_seen.h"
#include "facts/write_plan.h"

namespace outguard {

/// Fits the default socket buffer (net.core.wmem_max 212,992), so no host needs a setting.
inline constexpr std::size_t kMaxMessageBytes = std::size_t{192} * 1024;
/// A report that nobody asked for may be this long; the supervisor keeps many of them.
inline constexpr std::size_t kMaxEventBytes = std::size_t{64} * 1024;
/// Descriptors one message may carry (the kernel's SCM_MAX_FD is 253).
inline constexpr std::size_t kMaxMessageFds = 64;

// ---- Requests: privileged side -> sensor --------------------------------------------------------

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

/// What the intelligence in use holds, without its delta. Answered by IntelStats.
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

using Request =
    std::variant<AttachMemory, OpenTap, ReplayCapture, UseIntel, AddFeed, CompileIntel,
                 ListProcesses, ListSockets, DescribeProcess, FindOwner, PlanKill, CheckFate,
                 LocateFlow, LookUp, CheckKernel, GetCounters, JudgeValue, DescribeIntel>;

// ---- Reports: sensor -> privileged side
// ----------------------------------------------------------

/// Answers a Request that did not work, with the reason in words.
struct Failed {
  std::string reason;
  ErrorCode code = ErrorCode::InvalidInput;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.reason, self.code);
  }
};

/// Answers a Request that has nothing to tell.
struct Done {
  template <class Self, class Wire> static void fields(Self &, Wire &) {}
};

/// Sent once, with id 0, when a sensor starts: what of its sandbox this host could not give.
struct SandboxSeen {
  std::vector<std::string> gaps;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) { wire(self.gaps); }
};

/// Answers AttachMemory; also sent with id 0 when the state changes by itself.
struct GuestStateSeen {
  GuestState state = GuestState::Starting;
  std::string reason;            ///< empty when Ready
  KernelSeen kernel;             ///< meaningful when Ready
  std::uint64_t walk_ns = 0;     ///< first process and socket table, part of the attach
  bool wants_symbols = false;    ///< Unreadable for want of an ISF file; kernel.release says whose
  std::vector<std::string> gaps; ///< when Ready: what this kernel cannot be asked for, and why
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.state, self.reason, self.kernel, self.walk_ns, self.wants_symbols, self.gaps);
  }
};

/// How much of a table was read. Partial rows are right; rows may be missing.
struct Completeness {
  bool partial = false;
  std::string reason; ///< why, when partial
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.partial, self.reason);
  }
};

/// Answers ListProcesses in as many messages as it takes; `last` ends the answer.
struct ProcessRows {
  std::vector<ProcessSeen> rows;
  Completeness completeness;
  bool last = false;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.rows, self.completeness, self.last);
  }
};

struct ProcessDetailed {
  ProcessDetail detail;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.detail);
  }
};

struct MapRows {
  std::vector<MapSeen> rows;
  Completeness completeness;
  bool last = false;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.rows, self.completeness, self.last);
  }
};

struct SocketRows {
  std::vector<SocketSeen> rows;
  Completeness completeness;
  bool last = false;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.rows, self.completeness, self.last);
  }
};

/// Follows SocketRows where all sockets were asked for.
struct OtherSocketRows {
  std::vector<OtherSocketSeen> rows;
  Completeness completeness;
  bool last = false;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.rows, self.completeness, self.last);
  }
};

struct OwnerFound {
  Attribution attribution;
  std::vector<SocketSeen> sockets; ///< the sockets of the flow, usually one
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.attribution, self.sockets);
  }
};

struct KernelChecked {
  bool same = false;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) { wire(self.same); }
};

enum class Doubt : std::uint8_t {
  ClockStands,   ///< the kernel's clock stands still: idle, paused, or another kernel runs
  MemoryOutside, ///< the guest uses memory that the layout does not have: ask for it anew
};

/// Sent with id 0: the sensor's picture may be old. The privileged side finds out.
struct DoubtRaised {
  Doubt doubt = Doubt::ClockStands;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) { wire(self.doubt); }
};

/// Sent with id 0 after a MatchSeen that names a process: its executable's hash, when it is known.
struct ExecutableHashed {
  std::uint64_t flow_id = 0; ///< of the match
  ProcessIdentity process;
  FileHash hash;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.flow_id, self.process, self.hash);
  }
};

/// Sent with id 0 now and then while an attach looks through all of memory.
struct ScanProgress {
  std::uint64_t done = 0, total = 0; ///< bytes
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.done, self.total);
  }
};

struct FlowLocated {
  std::optional<TcpPosition> tcp; ///< nullopt: the flow has ended
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) { wire(self.tcp); }
};

struct LookedUp {
  std::vector<IndicatorHit> hits; ///< what matches
  ValueExplained explained;       ///< these and the others, as many as one message holds
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.hits, self.explained);
  }
};

struct ValueJudged {
  IndicatorType type = IndicatorType::Address;
  GuestText canonical;          ///< as the index has it; empty when it is no indicator at all
  std::string refusal;          ///< why it would not be taken; empty: it would
  bool by_guard = false;        ///< refused for what it means, not for its form
  std::vector<GuestText> flags; ///< taken, with these tags

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.type, self.canonical, self.refusal, self.by_guard, self.flags);
  }
};

struct PlanMade {
  WritePlan plan;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) { wire(self.plan); }
};

struct FateSeen {
  ProcessFate fate = ProcessFate::Unknown;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) { wire(self.fate); }
};

struct NamedCount {
  std::string name;
  std::uint64_t value = 0;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.name, self.value);
  }
};

/// seen == processed + sum(dropped), exactly.
struct CountersSeen {
  std::uint64_t seen = 0, processed = 0;
  std::vector<NamedCount> dropped; ///< by reason
  std::vector<NamedCount> other;   ///< flows, matches, kernel ring drops, ...
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.seen, self.processed, self.dropped, self.other);
  }
};

/// Sent with id 0 now and then while a capture is replayed.
struct ReplayProgress {
  std::uint64_t bytes = 0; ///< of the file, read so far
  std::uint64_t packets = 0;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.bytes, self.packets);
  }
};

struct StageTime {
  std::string stage;
  std::uint64_t ns = 0;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.stage, self.ns);
  }
};

struct ReplayDone {
  CountersSeen counters;
  std::string problem; ///< empty, or why the file ended early, with the offset
  std::uint64_t elapsed_ns = 0;
  std::vector<StageTime> stages; ///< their sum is elapsed_ns; how: guest/packets/stage_clock.h
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.counters, self.problem, self.elapsed_ns, self.stages);
  }
};

using Report =
    std::variant<Failed, Done, GuestStateSeen, ProcessRows, ProcessDetailed, MapRows, SocketRows,
                 OtherSocketRows, OwnerFound, PlanMade, FateSeen, FlowLocated, LookedUp,
                 CountersSeen, ReplayDone, FeedReports, IntelReport, SandboxSeen, MatchSeen,
                 KernelChecked, DoubtRaised, ScanProgress, ExecutableHashed, MatchedFlowEnded,
                 ValueJudged, IntelStats, ReplayProgress>;

// ---- Wire form
// ------------------------------------------------------------------------------------

template <class Body> struct Envelope {
  std::uint32_t id = 0;
  Body body;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.id, self.body);
  }
};
using RequestEnvelope = Envelope<Request>;
using ReportEnvelope = Envelope<Report>;

[[nodiscard]] std::vector<std::uint8_t> encode(const RequestEnvelope &message);
[[nodiscard]] std::vector<std::uint8_t> encode(const ReportEnvelope &message);
/// nullopt: not a message of this version, or with bytes left over. A report whose plain strings
/// are not printable as they stand is refused too: what a guest or feed chose travels as GuestText.
[[nodiscard]] std::optional<RequestEnvelope> decode_request(std::span<const std::uint8_t> bytes);
[[nodiscard]] std::optional<ReportEnvelope> decode_report(std::span<const std::uint8_t> bytes);

} // namespace outguard
