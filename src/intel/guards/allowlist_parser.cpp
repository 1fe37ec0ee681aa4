#include "intel/guards/allowlist_parser.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>

#include "intel/guards/public_suffix.h"
#include "intel/indicator_value.h"
#include "intel/list_parser.h"
#include "intel/report_writer.h"

namespace outguard::intel {

namespace {

constexpr std::string_view kUntil = "until=";
constexpr std::string_view kBlanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kBlanks);
  return first == text.npos ? std::string_view()
                            : text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

std::optional<int> number(std::string_view digits) {
  int value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool whole = error == std::errc{} && end == digits.data() + digits.size() && value >= 0;
  return whole ? std::optional(value) : std::nullopt;
}

/// "2026-01-31" -> the midnight after it.
std::optional<std::int64_t> end_of_day(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') {
    return std::nullopt;
  }
  const auto year = number(text.substr(0, 4));
  const auto month = number(text.substr(5, 2));
  const auto day = number(text.substr(8, 2));
  if (!year || !month || !day) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *year < 1970) {
    return std::nullopt;
  }
  const auto days = std::chrono::sys_days(date).time_since_epoch() + std::chrono::days(1);
  return std::chrono::duration_cast<std::chrono::seconds>(days).count();
}

/// `#` begins a comment at the start of a word: URLs hold it too.
std::size_t comment_start(std::string_view line) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '#' && (i == 0 || kBlanks.find(line[i - 1]) != kBlanks.npos)) {
      return i;
    }
  }
  return line.size();
}

Parsed<FeedIndicator> parse_entry(std::string_view words, std::string_view comment,
                                  std::int64_t now) {
  const auto value = words.substr(0, words.find_first_of(kBlanks));
  auto entry = parse_indicator(value, ReservedPolicy::Allow);
  if (!entry) {
    return entry;
  }
  if (entry->key.type == IndicatorType::Domain && !value.starts_with("*.") &&
      is_public_suffix(entry->key.bytes)) {
    return reject(RejectReason::AllowsSuffix); // a slip would silence a whole country
  }
  if (const auto option = trimmed(words.substr(value.size())); !option.empty()) {
    if (!option.starts_with(kUntil)) {
      return reject(RejectReason::BadOption);
    }
    const auto end = end_of_day(option.substr(kUntil.size()));
    if (!end) {
      return reject(RejectReason::BadTime);
    }
    if (*end <= now) {
      return reject(RejectReason::Expired);
    }
    entry->valid_until = *end;
  }
  entry->about.description = comment.substr(0, kMaxAboutBytes);
  return entry;
}

} // namespace

FeedReport parse_allowlist(const std::string &name, std::span<const std::uint8_t> bytes,
                           std::int64_t now, const FeedSink &sink) {
  ReportWriter report(name);
  report.set_format("allowlist");
  std::string_view rest(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  if (rest.starts_with("\xef\xbb\xbf")) {
    rest.remove_prefix(3);
  }
  std::uint32_t count = 0;
  while (!rest.empty()) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    ++count;
    if (line.size() > kMaxLineBytes) {
      report.count(RejectReason::LineTooLong, line, count);
      continue;
    }
    const auto mark = comment_start(line);
    const auto words = trimmed(line.substr(0, mark));
    if (words.empty()) {
      report.count_comment();
      continue;
    }
    const auto comment = trimmed(line.substr(std::min(mark + 1, line.size())));
    const auto entry = parse_entry(words, comment, now);
    if (entry) {
      report.count(sink(*entry, count), line, count);
    } else {
      report.count(entry.error(), line, count);
    }
  }
  report.set_note("an allowlist"); // one without entries, or with expired ones only, is no problem
  return report.finish();
}

} // namespace outguard::intel
