#pragma once
// Points in time as feeds write them. Pure functions; no exceptions.

#include <cstdint>
#include <optional>
#include <string_view>

namespace outguard::intel {

/// Nanoseconds since the epoch: `YYYY-MM-DD`, with `T` or a blank `HH:MM:SS`, a fraction, and `Z`,
/// `UTC` or an offset (none: UTC); or seconds or milliseconds since the epoch. Years 1970 to 9999;
/// what lies beyond 64 bits (2262) is the end of time.
[[nodiscard]] std::optional<std::int64_t> parse_time_ns(std::string_view text);

/// The same in seconds, rounded down.
[[nodiscard]] std::optional<std::int64_t> parse_time(std::string_view text);

/// Seconds; 0, "not given", when it is no time.
[[nodiscard]] std::int64_t time_or_zero(std::string_view text);

} // namespace outguard::intel
