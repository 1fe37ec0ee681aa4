#pragma once
// The flows that something was reported of, how often each indicator came again (what tells a
// repeat from a first time), and what else was seen of them. As many as the flow tables hold at
// most; usually few. One thread.

#include <cstdint>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "facts/match_counts.h"
#include "guest/packets/packet_pipeline.h"

namespace outguard::sensor {

class ReportedFlows {
public:
  using Key = std::pair<const guest::PacketPipeline *, std::uint64_t /*flow id*/>;
  enum class Told : std::uint8_t { First, Repeat, NoRoom };

  static constexpr std::size_t kMostTold = 64; ///< further indicators of one flow are not reported
  /// Beyond the first of each flow, of all flows together: some 10 MiB.
  static constexpr std::size_t kMostFurther = std::size_t{1} << 17;
  static constexpr std::size_t kMostObserved = 32;
  /// Of one flow, so that what is told of it fits into an event.
  static constexpr std::size_t kMostToldBytes = std::size_t{24} * 1024;
  static constexpr std::size_t kMostObservedBytes = 8192;
  /// Text of all flows' indicators that is kept; beyond it a count is told without its value.
  static constexpr std::size_t kMostValueBytes = std::size_t{4} << 20;
  static constexpr std::size_t kMostSeenBytes = std::size_t{8} << 20; ///< observed of all flows

  /// True: told already, counted. Costs no look-up of the indicator.
  [[nodiscard]] bool count_repeat(Key key, std::uint32_t indicator, std::int64_t now_ns);
  /// The indicator by what it is, since another image numbers it otherwise.
  [[nodiscard]] Told add(Key key, const guest::Flow &flow, std::uint32_t indicator,
                         const IndicatorHit &hit, std::int64_t now_ns);
  [[nodiscard]] bool has(Key key, const IndicatorHit &hit) const;
  /// What count_repeat() was told by number means nothing any more.
  void forget_numbers() { ++image_; }

  /// For those who look into an alert. What is not kept, for want of room, sets Closed::cut.
  void note_observed(Key key, ObservableKind kind, std::string_view text);

  /// nullptr: nothing was reported of it, or it has ended.
  [[nodiscard]] const guest::Flow *find(Key key) const;
  struct Closed {
    std::vector<MatchCount> matches; ///< empty: nothing was reported of it
    std::vector<ObservedText> observed;
    bool cut = false;
  };
  /// The flow has ended.
  [[nodiscard]] Closed close(Key key);

private:
  struct Entry {
    std::uint32_t image = 0;
    std::uint32_t indicator = 0;
    std::size_t value_hash = 0;
    MatchCount count;

    [[nodiscard]] bool is(const IndicatorHit &hit, std::size_t hash) const {
      return count.type == hit.type && value_hash == hash;
    }
  };
  struct Reported {
    const guest::Flow *flow = nullptr;
    std::vector<Entry> told;
    std::size_t told_bytes = 0;
    std::vector<ObservedText> observed;
    std::size_t observed_bytes = 0;
    bool cut = false;
  };

  std::map<Key, Reported> flows_;
  std::uint32_t image_ = 0;
  std::size_t further_ = 0;
  std::size_t value_bytes_ = 0;
  std::size_t seen_bytes_ = 0;
};

} // namespace outguard::sensor
