#pragma once
// What protocols of text lines have in common: a line, and its first word of four letters, which
// decides with one comparison and before the line is complete. Pure.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "guest/protocols/host_name.h"

namespace outguard::guest {

[[nodiscard]] inline std::string_view as_text(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

[[nodiscard]] inline std::span<const std::uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

[[nodiscard]] inline bool equals_ignoring_case(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return to_lower(a) == b; });
}
[[nodiscard]] inline bool starts_ignoring_case(std::string_view text, std::string_view lower) {
  return equals_ignoring_case(text.substr(0, lower.size()), lower);
}

/// Longer than any command may be (SMTP 512, extensions some hundred more; FTP: a path).
inline constexpr std::size_t kMaxTextLine = 2048;

struct TextLine {
  std::string_view text;  ///< without its end and blanks around it
  std::size_t length = 0; ///< with its end
};
/// The first line of `bytes`; nullopt when it does not end yet.
[[nodiscard]] std::optional<TextLine> first_line(std::span<const std::uint8_t> bytes);

/// Four letters as a number; "cwd " counts its blank. Lower-case.
using Verb = std::uint32_t;
[[nodiscard]] constexpr Verb verb(std::string_view word) {
  Verb value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value = value << 8 | static_cast<std::uint8_t>(i < word.size() ? to_lower(word[i]) : 0);
  }
  return value;
}

enum class VerbMatch : std::uint8_t { No, Unfinished, Yes };
/// Do `bytes` start with one of `verbs` as a word?
[[nodiscard]] VerbMatch match_verb(std::span<const std::uint8_t> bytes,
                                   std::span<const Verb> verbs);

} // namespace outguard::guest
