#include "sensor/kernel_watch.h"

#include <algorithm>

namespace outguard::sensor {

namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kMostTicks = 2; ///< in a millisecond; CONFIG_HZ is 1000 at most
constexpr milliseconds kLateness{1000}; ///< a guest that was held up counts the ticks it missed

} // namespace

/// Forward, and by no more than the time since it last did allows: memory of a kernel that ended
/// changes too, once it is used for something else.
bool KernelWatch::has_ticked(MonotonicTime now, std::optional<std::uint64_t> beat) const {
  if (!beat || !last_beat_ || *beat <= *last_beat_) {
    return false;
  }
  const auto elapsed = std::chrono::duration_cast<milliseconds>(now - changed_at_) + kLateness;
  return *beat - *last_beat_ <= static_cast<std::uint64_t>(elapsed.count()) * kMostTicks;
}

bool KernelWatch::clock_is_doubtful(MonotonicTime now, std::optional<std::uint64_t> beat) {
  const bool ticks = has_ticked(now, beat);
  const bool ticked = !looked_ || ticks;
  const bool leapt = !ticked && beat != last_beat_;
  looked_ = true;
  if (ticked || leapt) {
    last_beat_ = beat;
    changed_at_ = now;
    patience_ = kPatience;
    ask_at_ = ticked ? now + patience_ : std::min(ask_at_, now + patience_);
  }
  if (ticked) {
    ticked_at_ = now;
    give_up_after_ = ticks ? kGiveUpAfter : give_up_after_;
    return false;
  }
  if (now < ask_at_) {
    return false;
  }
  patience_ = std::min(patience_ * 2, kMostPatience);
  ask_at_ = now + patience_;
  return true;
}

bool KernelWatch::gives_up(MonotonicTime now) {
  if (!looked_ || now - ticked_at_ < give_up_after_) {
    return false;
  }
  give_up_after_ = std::min(give_up_after_ * 2, kMostGiveUpAfter);
  return true;
}

void KernelWatch::reset() {
  const auto give_up_after = give_up_after_;
  *this = {};
  give_up_after_ = give_up_after;
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
