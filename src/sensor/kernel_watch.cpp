#include "sensor/kernel_watch.h"

#include <algorithm>

namespace outguard::sensor {

bool KernelWatch::clock_is_doubtful(MonotonicTime now, std::optional<std::uint64_t> beat) {
  const bool moved = !looked_ || (beat && beat != last_beat_);
  looked_ = true;
  last_beat_ = beat;
  if (moved) {
    patience_ = kPatience;
    ask_at_ = now + patience_;
    return false;
  }
  if (now < ask_at_) {
    return false;
  }
  patience_ = std::min(patience_ * 2, kMostPatience);
  ask_at_ = now + patience_;
  return true;
}

bool KernelWatch::memory_is_doubtful(MonotonicTime now, const guest::Pulse &pulse,
                                     std::uint64_t outside) {
  const bool grew = memory_end_ && pulse.memory_end && *pulse.memory_end > *memory_end_;
  memory_end_ = pulse.memory_end;
  if (!grew && (outside <= outside_ || now - layout_asked_at_ < kBetweenLayouts)) {
    return false;
  }
  outside_ = outside;
  layout_asked_at_ = now;
  return true;
}

std::optional<Doubt> KernelWatch::look(MonotonicTime now, const guest::Pulse &pulse,
                                       std::uint64_t outside) {
  const bool clock = clock_is_doubtful(now, pulse.beat);
  if (memory_is_doubtful(now, pulse, outside)) {
    return Doubt::MemoryOutside;
  }
  return clock ? std::optional(Doubt::ClockStands) : std::nullopt;
}

} // namespace outguard::sensor
