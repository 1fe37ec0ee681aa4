#pragma once
// Where the flows of a table are, by hash: open addressing with linear probes, at most half full,
// no tombstones. A slot holds the whole hash, so that most probes end without a look at a flow, and
// moving slots needs none. Owned by the FlowTable, one thread.

#include <cstdint>
#include <vector>

namespace outguard::guest {

class FlowSlots {
public:
  FlowSlots();

  /// The place with this hash that `is_it(place)` accepts; 0: none.
  template <class IsIt>
  [[nodiscard]] std::uint32_t find(std::uint32_t hash, const IsIt &is_it) const {
    const Slot *const slots = slots_.data(); // mask_ keeps every index below their number
    for (std::uint32_t i = hash & mask_; slots[i].place != 0; i = (i + 1) & mask_) {
      if (slots[i].hash == hash && is_it(slots[i].place)) {
        return slots[i].place;
      }
    }
    return 0;
  }
  /// What find() will probably look at first; 0: nothing.
  [[nodiscard]] std::uint32_t guess(std::uint32_t hash) const {
    return slots_.data()[hash & mask_].place;
  }
  void prefetch(std::uint32_t hash) const { __builtin_prefetch(slots_.data() + (hash & mask_)); }

  /// `place` is not 0.
  void add(std::uint32_t hash, std::uint32_t place);
  /// Is there.
  void remove(std::uint32_t hash, std::uint32_t place);

private:
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t place = 0; ///< 0: empty
  };

  void put(Slot slot);
  void grow();

  std::vector<Slot> slots_; ///< a power of two
  std::uint32_t mask_;
  std::uint32_t used_ = 0;
};

} // namespace outguard::guest
