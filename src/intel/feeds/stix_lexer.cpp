#include "intel/feeds/stix_lexer.h"

#include <algorithm>

#include "intel/feeds/dataset_parser.h"
#include "intel/feeds/feed_time.h"

namespace outguard::intel {

namespace {

using Kind = StixToken::Kind;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool begins_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool in_word(char c) {
  return begins_word(c) || is_digit(c) || c == '-';
}

bool is_hex(std::string_view text) {
  return text.size() % 2 == 0 && text.find_first_not_of("0123456789abcdefABCDEF") == text.npos;
}

} // namespace

std::optional<StixToken> StixLexer::next() {
  const auto start = rest_.find_first_not_of(" \t\r\n");
  if (start == rest_.npos) {
    return StixToken{};
  }
  rest_.remove_prefix(start);
  const char c = rest_.front();
  const char second = rest_.size() > 1 ? rest_[1] : '\0';
  if (c == '\'') {
    auto text = quoted();
    return text ? std::optional(StixToken{Kind::String, std::move(*text)}) : std::nullopt;
  }
  if (second == '\'' && (c == 't' || c == 'b' || c == 'h')) {
    return literal(c);
  }
  if (begins_word(c)) {
    const auto *const end = std::find_if_not(rest_.begin(), rest_.end(), in_word);
    const auto size = static_cast<std::size_t>(end - rest_.begin());
    StixToken word{Kind::Word, std::string(rest_.substr(0, size))};
    rest_.remove_prefix(size);
    return word;
  }
  if (is_digit(c) || ((c == '-' || c == '+') && is_digit(second))) {
    return number();
  }
  return mark();
}

std::optional<std::string> StixLexer::quoted() {
  std::string text;
  for (std::size_t at = 1; at < rest_.size(); ++at) {
    if (rest_[at] == '\'') {
      rest_.remove_prefix(at + 1);
      return text;
    }
    if (rest_[at] == '\\' && at + 1 < rest_.size()) {
      ++at;
    }
    text += rest_[at];
  }
  return std::nullopt;
}

std::optional<StixToken> StixLexer::literal(char prefix) {
  rest_.remove_prefix(1);
  auto text = quoted();
  if (!text) {
    return std::nullopt;
  }
  const bool sound = prefix == 't'   ? text->ends_with('Z') && parse_time_ns(*text).has_value()
                     : prefix == 'b' ? decode_base64(*text).has_value()
                                     : is_hex(*text);
  if (!sound) {
    return std::nullopt;
  }
  return StixToken{prefix == 't' ? Kind::Time : Kind::Binary, std::move(*text)};
}

std::optional<StixToken> StixLexer::number() {
  std::size_t end = 1;
  bool whole = true;
  for (; end < rest_.size() && (is_digit(rest_[end]) || (whole && rest_[end] == '.')); ++end) {
    whole = whole && rest_[end] != '.';
  }
  StixToken token{whole ? Kind::Integer : Kind::Float, std::string(rest_.substr(0, end))};
  rest_.remove_prefix(end);
  const bool runs_on = !rest_.empty() && begins_word(rest_.front());
  return runs_on ? std::nullopt : std::optional(std::move(token));
}

std::optional<StixToken> StixLexer::mark() {
  constexpr std::string_view kMarks[] = {"==", "!=", "<>", "<=", ">=", "=", "<", ">",
                                         "[",  "]",  "(",  ")",  ",",  ":", ".", "*"};
  for (const auto known : kMarks) {
    if (rest_.starts_with(known)) {
      rest_.remove_prefix(known.size());
      return StixToken{Kind::Mark, std::string(known)};
    }
  }
  return std::nullopt;
}

} // namespace outguard::intel
