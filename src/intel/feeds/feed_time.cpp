#include "intel/feeds/feed_time.h"

#include <algorithm>
#include <charconv>
#include <chrono>

namespace outguard::intel {

namespace {

constexpr std::int64_t kNanoseconds = 1'000'000'000;
constexpr std::int64_t kMostSeconds = INT64_MAX / kNanoseconds - 1;
constexpr std::size_t kMilliDigits = 13;
constexpr std::size_t kMostSecondDigits = 10;
constexpr std::size_t kMostFractionDigits = 9;

/// Takes what it knows off the front of a text; what fails leaves it as it was.
class TimeText {
public:
  explicit TimeText(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }
  bool take(char c) {
    if (!rest_.starts_with(c)) {
      return false;
    }
    rest_.remove_prefix(1);
    return true;
  }
  bool take(std::string_view word) {
    if (!rest_.starts_with(word)) {
      return false;
    }
    rest_.remove_prefix(word.size());
    return true;
  }
  /// Exactly so many digits.
  std::optional<int> number(std::size_t digits, int least, int most) {
    const auto text = rest_.substr(0, digits);
    int value = 0;
    const bool plain = text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
                         return c >= '0' && c <= '9';
                       });
    if (!plain ||
        std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc{} ||
        value < least || value > most) {
      return std::nullopt;
    }
    rest_.remove_prefix(digits);
    return value;
  }
  /// One digit or more, as nanoseconds; digits beyond them are dropped.
  std::optional<std::int64_t> fraction() {
    std::int64_t value = 0;
    std::size_t digits = 0;
    for (; digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits) {
      if (digits < kMostFractionDigits) {
        value = value * 10 + (rest_[digits] - '0');
      }
    }
    if (digits == 0) {
      return std::nullopt;
    }
    rest_.remove_prefix(digits);
    for (auto scale = digits; scale < kMostFractionDigits; ++scale) {
      value *= 10;
    }
    return value;
  }

private:
  std::string_view rest_;
};

std::optional<std::int64_t> parse_date(TimeText &text) {
  const auto year = text.number(4, 1970, 9999);
  if (!year || !text.take('-')) {
    return std::nullopt;
  }
  const auto month = text.number(2, 1, 12);
  if (!month || !text.take('-')) {
    return std::nullopt;
  }
  const auto day = text.number(2, 1, 31);
  if (!day) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) {
    return std::nullopt;
  }
  return std::chrono::seconds(std::chrono::sys_days(date).time_since_epoch()).count();
}

/// Seconds of the day; 60 is a leap second.
std::optional<std::int64_t> parse_clock(TimeText &text) {
  const auto hour = text.number(2, 0, 23);
  if (!hour || !text.take(':')) {
    return std::nullopt;
  }
  const auto minute = text.number(2, 0, 59);
  if (!minute) {
    return std::nullopt;
  }
  int seconds = 0;
  if (text.take(':')) {
    const auto second = text.number(2, 0, 60);
    if (!second) {
      return std::nullopt;
    }
    seconds = *second;
  }
  return (*hour * 60 + *minute) * 60 + seconds;
}

/// What to take off to come to UTC, in seconds.
std::optional<std::int64_t> parse_zone(TimeText &text) {
  text.take(' ');
  if (text.empty() || text.take('Z') || text.take("UTC")) {
    return 0;
  }
  const bool behind = text.take('-');
  if (!behind && !text.take('+')) {
    return std::nullopt;
  }
  const auto hours = text.number(2, 0, 23);
  text.take(':');
  const auto minutes = text.empty() ? std::optional(0) : text.number(2, 0, 59);
  if (!hours || !minutes) {
    return std::nullopt;
  }
  const std::int64_t offset = (std::int64_t{*hours} * 60 + *minutes) * 60;
  return behind ? -offset : offset;
}

std::optional<std::int64_t> parse_epoch(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) {
    return std::nullopt;
  }
  const auto times = [&](std::int64_t unit_ns) {
    return value < INT64_MAX / unit_ns ? std::optional(value * unit_ns) : std::nullopt;
  };
  if (text.size() == kMilliDigits) {
    return times(kNanoseconds / 1000);
  }
  // Four digits are a year and eight a date: nothing to guess from.
  const bool seconds = text.size() >= 9 && text.size() <= kMostSecondDigits;
  return seconds ? times(kNanoseconds) : std::nullopt;
}

} // namespace

std::optional<std::int64_t> parse_time_ns(std::string_view given) {
  TimeText text(given);
  const auto date = parse_date(text);
  if (!date) {
    return parse_epoch(given);
  }
  if (text.empty()) {
    return std::min(*date, kMostSeconds) * kNanoseconds;
  }
  if (!text.take('T') && !text.take(' ')) {
    return std::nullopt;
  }
  const auto clock = parse_clock(text);
  if (!clock) {
    return std::nullopt;
  }
  std::int64_t nanoseconds = 0;
  if (text.take('.')) {
    const auto fraction = text.fraction();
    if (!fraction) {
      return std::nullopt;
    }
    nanoseconds = *fraction;
  }
  const auto zone = parse_zone(text);
  const auto seconds = *date + *clock - zone.value_or(0);
  if (!zone || !text.empty() || seconds < 0) {
    return std::nullopt;
  }
  return std::min(seconds, kMostSeconds) * kNanoseconds + nanoseconds;
}

std::optional<std::int64_t> parse_time(std::string_view text) {
  const auto time = parse_time_ns(text);
  return time ? std::optional(*time / kNanoseconds) : std::nullopt;
}

std::int64_t time_or_zero(std::string_view text) {
  return parse_time(text).value_or(0);
}

} // namespace outguard::intel
