#pragma once
// What was refused while it was held at the tap, until the ring brings the same packet and the
// match is told: by flow, or of one packet of it by what was observed. Bounded: the oldest go. One
// thread.

#include <cstdint>
#include <deque>
#include <set>
#include <string_view>
#include <utility>

#include "facts/flow_seen.h"

namespace outguard::sensor {

class HoldNotes {
public:
  static constexpr std::size_t kMost = 4096;

  void refuse_flow(const FlowTuple &flow) { add({flow, kWholeFlow}); }
  void refuse_packet(const FlowTuple &flow, std::string_view observed) {
    add({flow, digest(observed)});
  }
  /// A later flow between the same ends is none that was refused.
  void allow_flow(const FlowTuple &flow);
  [[nodiscard]] bool was_refused(const FlowTuple &flow, std::string_view observed) const {
    return refused_.contains({flow, kWholeFlow}) || refused_.contains({flow, digest(observed)});
  }

private:
  using Key = std::pair<FlowTuple, std::size_t>;
  static constexpr std::size_t kWholeFlow = 0;
  [[nodiscard]] static std::size_t digest(std::string_view observed);
  void add(Key key);

  std::set<Key> refused_;
  std::deque<Key> in_order_; ///< oldest first, also what was allowed since
};

} // namespace outguard::sensor
