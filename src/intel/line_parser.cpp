#include "intel/line_parser.h"

#include <algorithm>

namespace outguard::intel {

namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

bool all_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// Cuts a comment: from a `#`, `;` or `//` at the start of the line or after a blank.
std::string_view without_comment(std::string_view line) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool begins_word = i == 0 || is_blank(line[i - 1]);
    const auto rest = line.substr(i);
    if (begins_word && (rest.starts_with('#') || rest.starts_with(';') || rest.starts_with("//"))) {
      return line.substr(0, i);
    }
  }
  return line;
}

/// Takes the next word off the front of `line`; empty at the end.
std::string_view take_word(std::string_view &line) {
  const auto *const start = std::find_if_not(line.begin(), line.end(), is_blank);
  const auto *const end = std::find_if(start, line.end(), is_blank);
  const auto word = line.substr(static_cast<std::size_t>(start - line.begin()),
                                static_cast<std::size_t>(end - start));
  line.remove_prefix(static_cast<std::size_t>(end - line.begin()));
  return word;
}

/// The addresses that hosts files used as block lists point names to.
bool is_sinkhole(std::string_view word) {
  return word == "0.0.0.0" || word == "127.0.0.1" || word == "::" || word == "::1";
}

bool has_control_character(std::string_view line) {
  return std::any_of(line.begin(), line.end(),
                     [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == '\x7f'; });
}

/// Nothing to cut off or to take apart: nearly all lines of a list.
bool is_one_word(std::string_view line) {
  return !line.empty() && !line.starts_with('#') && !line.starts_with(';') &&
         !line.starts_with("//") && std::all_of(line.begin(), line.end(), [](char c) {
           return static_cast<unsigned char>(c) > ' ' && c != '\x7f';
         });
}

} // namespace

bool parse_line(std::string_view line, ReservedPolicy policy, const LineSink &sink) {
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  if (is_one_word(line)) {
    sink(parse_indicator(line, policy));
    return true;
  }
  line = without_comment(line);
  if (has_control_character(line)) {
    sink(reject(RejectReason::ControlCharacter));
    return true;
  }
  const auto first = take_word(line);
  if (first.empty()) {
    return false;
  }
  auto next = take_word(line);
  // Some lists give a count or score after each indicator.
  const bool alone =
      next.empty() || (all_digits(next) && line.find_first_not_of(" \t") == line.npos);
  if (alone) {
    sink(parse_indicator(first, policy));
    return true;
  }
  if (!is_sinkhole(first)) {
    sink(reject(RejectReason::TrailingText));
    return true;
  }
  for (; !next.empty(); next = take_word(line)) {
    auto indicator = parse_indicator(next, policy);
    if (indicator) {
      indicator->scope = MatchScope::Exact;
    }
    sink(std::move(indicator));
  }
  return true;
}

} // namespace outguard::intel
