#include "intel/feeds/dataset_parser.h"

#include "intel/feeds/line_reader.h"
#include "intel/list_parser.h"

namespace outguard::intel {

namespace {

constexpr std::size_t kProbeLines = 20;

/// What one line holds; the name's "-md5", "-ip" and so on is what Suricata is told in the rule.
Parsed<FeedIndicator> parse_member(std::string_view word, const Intake &intake) {
  const bool plain =
      intake.is_named("-md5") || intake.is_named("-sha256") || intake.is_named("-ip");
  if (!plain) {
    if (const auto decoded = decode_base64(word)) {
      if (auto parsed = parse_indicator(*decoded, intake.policy());
          parsed || intake.is_named("-string")) {
        return parsed;
      }
    }
    if (intake.is_named("-string")) {
      return reject(RejectReason::BadEncoding);
    }
  }
  auto parsed = parse_indicator(word, intake.policy());
  if (!parsed) {
    return parsed;
  }
  const auto type = parsed->key.type;
  const bool fits = !plain || (intake.is_named("-md5") && type == IndicatorType::FileMd5) ||
                    (intake.is_named("-sha256") && type == IndicatorType::FileSha256) ||
                    (intake.is_named("-ip") &&
                     (type == IndicatorType::Address || type == IndicatorType::Network));
  return fits ? parsed : reject(RejectReason::TypeMismatch);
}

} // namespace

std::optional<std::string> decode_base64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.empty() || text.size() % 4 != 0) {
    return std::nullopt;
  }
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  text.remove_suffix(padding);
  std::string bytes;
  std::uint32_t group = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const auto value = kDigits.find(c);
    if (value == kDigits.npos) {
      return std::nullopt;
    }
    group = (group << 6) | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>((group >> bits) & 0xffU);
    }
  }
  return bytes.empty() ? std::nullopt : std::optional(std::move(bytes));
}

bool looks_like_dataset(std::string_view text) {
  std::size_t seen = 0;
  for (LineReader lines(text); lines.next() && seen < kProbeLines;) {
    auto line = trimmed(lines.line());
    if (line.empty() || line.starts_with('#')) {
      continue;
    }
    const auto word = take_until(line, ',');
    const auto decoded = word.size() <= kMaxLineBytes ? decode_base64(word) : std::nullopt;
    // A bare digest is base64 too.
    if (!decoded || parse_indicator(word, ReservedPolicy::Allow) ||
        !parse_indicator(*decoded, ReservedPolicy::Allow)) {
      return false;
    }
    ++seen;
  }
  return seen > 0;
}

void parse_dataset(std::string_view text, Intake &intake) {
  for (LineReader lines(text); lines.next();) {
    const auto line = trimmed(lines.line());
    if (line.empty() || line.starts_with('#')) {
      intake.report().count_comment();
      continue;
    }
    if (line.size() > kMaxLineBytes) {
      intake.reject(RejectReason::LineTooLong, line, lines.number());
      continue;
    }
    auto rest = line;
    auto parsed = parse_member(trimmed(take_until(rest, ',')), intake);
    if (parsed) {
      intake.retype(*parsed);
      parsed->scope = MatchScope::Exact;
    }
    intake.take(std::move(parsed), line, lines.number());
  }
}

} // namespace outguard::intel
