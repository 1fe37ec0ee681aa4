#include "guest/packets/flow_slots.h"

namespace outguard::guest {

namespace {
constexpr std::uint32_t kFirstSlots = 1024;
}

FlowSlots::FlowSlots() : slots_(kFirstSlots), mask_(kFirstSlots - 1) {}

void FlowSlots::add(std::uint32_t hash, std::uint32_t place) {
  if (std::size_t{used_} * 2 >= slots_.size()) {
    grow();
  }
  put({hash, place});
  ++used_;
}

void FlowSlots::put(Slot slot) {
  std::uint32_t i = slot.hash & mask_;
  while (slots_[i].place != 0) {
    i = (i + 1) & mask_;
  }
  slots_[i] = slot;
}

void FlowSlots::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  mask_ = static_cast<std::uint32_t>(slots_.size() - 1);
  for (const Slot &slot : old) {
    if (slot.place != 0) {
      put(slot);
    }
  }
}

/// Followers that may not stay behind the hole move into it.
void FlowSlots::remove(std::uint32_t hash, std::uint32_t place) {
  std::uint32_t hole = hash & mask_;
  while (slots_[hole].place != place) {
    hole = (hole + 1) & mask_;
  }
  for (std::uint32_t i = (hole + 1) & mask_; slots_[i].place != 0; i = (i + 1) & mask_) {
    const std::uint32_t home = slots_[i].hash & mask_;
    if (((i - home) & mask_) >= ((i - hole) & mask_)) {
      slots_[hole] = slots_[i];
      hole = i;
    }
  }
  slots_[hole] = {};
  --used_;
}

} // namespace outguard::guest
