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

std::optional<Doubt> KernelWatch::look(MonotonicTime now, std::optional<std::uint64_t> beat,
                                       std::uint64_t outside) {
  const bool doubtful = clock_is_doubtful(now, beat);
  if (outside > outside_ && now - layout_asked_at_ >= kBetweenLayouts) {
    outside_ = outside;
    layout_asked_at_ = now;
    return Doubt::MemoryOutside;
  }
  return doubtful ? std::optional(Doubt::ClockStands) : std::nullopt;
}

} // namespace outguard::sensor
