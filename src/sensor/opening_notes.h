#pragma once
// Whose an opened connection is, asked when its SYN was seen at once and kept until the ring brings
// the same SYN. Ends and initial sequence number tell one connection from the next between the same
// ends. Holds numbers of FlowNotes; whoever takes one owns it. Bounded and aged. One thread.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "facts/flow_seen.h"

namespace outguard::sensor {

struct Opening {
  FlowTuple tuple;
  std::uint32_t sequence = 0; ///< of the SYN

  auto operator<=>(const Opening &) const = default;
};

class OpeningNotes {
public:
  static constexpr std::size_t kMost = 1024; ///< the latest: the ring is some milliseconds late
  static constexpr std::chrono::seconds kMostAge{5};

  struct Kept {
    std::uint64_t note = 0; ///< a number of FlowNotes
    std::int64_t answered_ns = 0;
    MonotonicTime since{};
  };

  [[nodiscard]] bool has(const Opening &opening) const { return kept_.contains(opening); }
  /// Of an opening that it has not.
  void keep(const Opening &opening, Kept kept);
  [[nodiscard]] std::optional<Kept> take(const Opening &opening);
  /// The oldest one, if there are too many or it is too old.
  [[nodiscard]] std::optional<Kept> take_surplus(MonotonicTime now);

private:
  std::map<Opening, Kept> kept_;
  std::deque<std::pair<Opening, std::uint64_t>> in_order_; ///< oldest first, also what was taken
};

} // namespace outguard::sensor
