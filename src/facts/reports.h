#pragma once
// What a sensor tells the privileged side: answers to a Request, and what it says unasked.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "facts/evidence.h"
#include "facts/flow_seen.h"
#include "facts/indicator_explained.h"
#include "facts/intel_report.h"
#include "facts/intel_stats.h"
#include "facts/kernel_seen.h"
#include "facts/match_counts.h"
#include "facts/process_detail.h"
#include "facts/process_seen.h"
#include "facts/signal_plan.h"
#include "facts/socket_seen.h"
#include "facts/write_plan.h"

namespace outguard {

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

struct FlowFound {
  std::optional<FlowSeen> flow; ///< nullopt: no packet of it was seen, or it has ended
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) { wire(self.flow); }
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

struct SignalPlanMade {
  SignalPlan plan;
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

struct OpenFileRows {
  std::vector<OpenFileSeen> rows;
  Completeness completeness;
  bool last = false;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.rows, self.completeness, self.last);
  }
};

struct EnvironmentRead {
  std::vector<GuestText> words; ///< "NAME=VALUE", as the program got them or wrote over them
  bool cut = false;             ///< longer than is read
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.words, self.cut);
  }
};

struct LibraryRows {
  std::vector<LibrarySeen> rows;
  Completeness completeness;
  bool last = false;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.rows, self.completeness, self.last);
  }
};

/// hash.status says how good the copy is; the descriptor has hash.file_bytes, or nothing where
/// that is TooLarge or Unreadable.
struct ExecutableCopied {
  FileHash hash;
  std::vector<MissingRange> missing; ///< by offset
  bool missing_cut = false;          ///< there are more of them than are listed
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.hash, self.missing, self.missing_cut);
  }
};

/// What a CopyPackets wrote; times are wall clock, 0 where there is no packet.
struct PacketsCopied {
  std::uint64_t bytes = 0; ///< of the file
  std::uint64_t packets = 0;
  std::uint64_t truncated = 0;   ///< of those, cut when they were captured
  std::uint64_t left_out = 0;    ///< kept, and no room for them in the file: the oldest
  std::uint64_t passed_over = 0; ///< seen between the first and the last, and not kept: too many
  std::int64_t first_ns = 0, last_ns = 0;
  std::uint32_t taps = 0;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.bytes, self.packets, self.truncated, self.left_out, self.passed_over, self.first_ns,
         self.last_ns, self.taps);
  }
};

struct PartPacked {
  std::string sha256; ///< 64 hexadecimal digits
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.sha256);
  }
};

using Report =
    std::variant<Failed, Done, GuestStateSeen, ProcessRows, ProcessDetailed, MapRows, SocketRows,
                 OtherSocketRows, OwnerFound, PlanMade, FateSeen, FlowLocated, LookedUp,
                 CountersSeen, ReplayDone, FeedReports, IntelReport, SandboxSeen, MatchSeen,
                 KernelChecked, DoubtRaised, ScanProgress, ExecutableHashed, MatchedFlowEnded,
                 ValueJudged, IntelStats, ReplayProgress, SignalPlanMade, OpenFileRows,
                 EnvironmentRead, LibraryRows, ExecutableCopied, PacketsCopied, PartPacked,
                 FlowFound>;

} // namespace outguard
