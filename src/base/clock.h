#pragma once
// Time as the product means it: WallTime for what people read, MonotonicTime for durations.

#include <chrono>
#include <optional>
#include <string>

namespace outguard {

using WallTime = std::chrono::sys_time<std::chrono::nanoseconds>;
using MonotonicTime = std::chrono::steady_clock::time_point;

[[nodiscard]] WallTime wall_now();
[[nodiscard]] MonotonicTime monotonic_now();

/// Notices that somebody set the wall clock: times taken before and after do not compare then. One
/// thread at a time.
class WallClockWatch {
public:
  /// Both read just now, the wall clock first. True: it was set since the last call. Slewing (NTP)
  /// moves both clocks alike.
  [[nodiscard]] bool was_set(WallTime wall, MonotonicTime monotonic);

private:
  static constexpr std::chrono::milliseconds kLeastStep{5}; ///< less may pass between two readings
  std::chrono::nanoseconds distance_{};
  bool looked_ = false;
};

/// "2025-08-21T18:13:20.017359+0000", UTC, the form of Suricata's EVE timestamps.
[[nodiscard]] std::string eve_timestamp(WallTime time);
/// "2025-08-21T18:13:20.017359123Z", RFC 3339, UTC, nanoseconds: loses nothing.
[[nodiscard]] std::string rfc3339_timestamp(WallTime time);
/// The reverse, for years 1970 to 2200; nullopt for any other text.
[[nodiscard]] std::optional<WallTime> parse_rfc3339(const std::string &text);

} // namespace outguard
