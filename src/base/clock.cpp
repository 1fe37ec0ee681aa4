#include "base/clock.h"

#include <cstdio>
#include <ctime>

#include <fmt/format.h>

namespace outguard {

namespace {

struct Broken {
  std::tm parts{};
  long long nanoseconds = 0;
};

Broken break_down(WallTime time) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  // By hand: <chrono> goes back through nanoseconds, which the earliest second does not have.
  const std::int64_t nanoseconds = time.time_since_epoch().count();
  const std::int64_t before = nanoseconds % kSecond < 0 ? 1 : 0;
  const auto seconds = static_cast<std::time_t>(nanoseconds / kSecond - before);
  Broken broken;
  gmtime_r(&seconds, &broken.parts);
  broken.nanoseconds = nanoseconds % kSecond + before * kSecond;
  return broken;
}

std::string date_and_time(const std::tm &parts) {
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

} // namespace

bool WallClockWatch::was_set(WallTime wall, MonotonicTime monotonic) {
  const auto distance = wall.time_since_epoch() - monotonic.time_since_epoch();
  const bool was = looked_ && std::chrono::abs(distance - distance_) >= kLeastStep;
  distance_ = was || !looked_ ? distance : distance_;
  looked_ = true;
  return was;
}

WallTime wall_now() {
  return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
}

MonotonicTime monotonic_now() {
  return std::chrono::steady_clock::now();
}

std::string eve_timestamp(WallTime time) {
  const auto broken = break_down(time);
  return fmt::format("{}.{:06}+0000", date_and_time(broken.parts), broken.nanoseconds / 1000);
}

std::string rfc3339_timestamp(WallTime time) {
  const auto broken = break_down(time);
  return fmt::format("{}.{:09}Z", date_and_time(broken.parts), broken.nanoseconds);
}

std::optional<WallTime> parse_rfc3339(const std::string &text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, nanoseconds = 0, length = 0;
  const int got = std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d.%9dZ%n", &year, &month, &day,
                              &hour, &minute, &second, &nanoseconds, &length);
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (got != 7 || static_cast<std::size_t>(length) != text.size() || !date.ok() || year < 1970 ||
      year > 2200) {
    return std::nullopt;
  }
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(hour) +
         std::chrono::minutes(minute) + std::chrono::seconds(second) +
         std::chrono::nanoseconds(nanoseconds);
}

} // namespace outguard
