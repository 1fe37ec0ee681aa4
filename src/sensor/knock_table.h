#pragma once
// Listed remote ends that knock at the guest and get no answer: one finding each, with counts, in
// constant memory. The one that knocked least recently is told and forgotten where there is no
// room. One thread.

#include <cstdint>
#include <functional>
#include <list>

#include "facts/match_counts.h"
#include "guest/packets/flow.h"

namespace outguard::sensor {

/// Did the guest let it in? TCP: beyond the handshake's second packet, and no mere reset. ICMP
/// never is an answer: the kernel gives it, whoever asks.
[[nodiscard]] bool was_answered(const guest::Flow &flow);

/// What the guest did not begin, whoever sent the first packet that was seen: a reset, or an ICMP
/// error, answers what came from outside.
[[nodiscard]] bool began_outside(const guest::Flow &flow);

class KnockTable {
public:
  static constexpr std::size_t kMost = 256;
  /// Quiet for so long: the counts are told, and the next knock is a new finding.
  static constexpr std::int64_t kQuiet = 3600LL * 1'000'000'000;

  /// Gets what has ended: of knocks that came once, nothing more is to be told.
  using Tell = std::function<void(MatchedFlowEnded)>;
  explicit KnockTable(Tell tell) : tell_(std::move(tell)) {}

  /// Counts one flow; the counts so far when it is the first of its remote end and indicator.
  [[nodiscard]] std::optional<Knocks> add(const FlowSeen &flow, const IndicatorHit &hit);
  void expire(std::int64_t now_ns);
  void end_all();

private:
  using Entry = MatchedFlowEnded; ///< `flow`, one match, and the knocks
  void end(std::list<Entry>::iterator entry, EndReason reason);

  Tell tell_;
  std::list<Entry> entries_; ///< the latest first
};

} // namespace outguard::sensor
