#include "guest/linux/guest_clock.h"

namespace outguard::guest {
namespace {

constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr std::int64_t kLatestSecond = 8'000'000'000; ///< year 2223: products below cannot overflow

// tk_core has no name in the types: a sequence counter, then the timekeeper. The counter's size
// depends on the kernel's debug options, so the place is found by read_at()'s check.
constexpr std::uint64_t kFirstPlace = 8;
constexpr std::uint64_t kLastPlace = 128;

} // namespace

std::optional<std::int64_t> GuestClock::read_at(GuestVirtual timekeeper,
                                                KernelReader &reader) const {
  ObjectCopy copy(layout_.timekeeper);
  if (!copy.load(reader, timekeeper)) {
    return std::nullopt;
  }
  const auto real = static_cast<std::int64_t>(copy.number(layout_.real_offset));
  const auto boot = static_cast<std::int64_t>(copy.number(layout_.boot_offset));
  const auto seconds = static_cast<std::int64_t>(copy.number(layout_.wall_seconds));
  const auto nanoseconds = static_cast<std::int64_t>(copy.number(layout_.wall_nanoseconds));
  const bool in_range = seconds <= 0 && seconds >= -kLatestSecond && nanoseconds >= 0 &&
                        nanoseconds < kNanosecondsPerSecond && boot >= 0 &&
                        boot <= kLatestSecond * kNanosecondsPerSecond;
  // tk_set_wall_to_mono() keeps the two in step: what tells the structure from other bytes, and a
  // whole copy from a torn one.
  if (!in_range || real == 0 || real != -(seconds * kNanosecondsPerSecond + nanoseconds)) {
    return std::nullopt;
  }
  return real - boot;
}

std::optional<std::int64_t> GuestClock::boot_time_ns(KernelReader &reader) const {
  if (!core_) {
    return std::nullopt;
  }
  for (std::uint64_t place = kFirstPlace; place <= kLastPlace; place += 8) {
    if (const auto found = read_at(core_->plus_wrapping(place), reader)) {
      return found;
    }
  }
  return std::nullopt;
}

} // namespace outguard::guest
