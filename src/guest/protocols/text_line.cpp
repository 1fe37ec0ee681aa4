#include "guest/protocols/text_line.h"

namespace outguard::guest {

namespace {

constexpr std::size_t kVerb = 4;

bool is_blank_or_end(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

} // namespace

std::optional<TextLine> first_line(std::span<const std::uint8_t> bytes) {
  const auto text = as_text(bytes.first(std::min(bytes.size(), kMaxTextLine)));
  const auto end = text.find('\n');
  if (end == std::string_view::npos) {
    return std::nullopt;
  }
  auto line = text.substr(0, end);
  while (!line.empty() && is_blank_or_end(line.back())) {
    line.remove_suffix(1);
  }
  while (!line.empty() && is_blank_or_end(line.front())) {
    line.remove_prefix(1);
  }
  return TextLine{line, end + 1};
}

VerbMatch match_verb(std::span<const std::uint8_t> bytes, std::span<const Verb> verbs) {
  const auto word = as_text(bytes.first(std::min(bytes.size(), kVerb)));
  const Verb given = verb(word);
  const auto unknown_bits = static_cast<unsigned>(8 * (kVerb - word.size()));
  for (const Verb known : verbs) {
    if (word.size() < kVerb) {
      if (std::uint64_t{known} >> unknown_bits == std::uint64_t{given} >> unknown_bits) {
        return VerbMatch::Unfinished;
      }
    } else if (known == given) {
      if (bytes.size() == kVerb) {
        return VerbMatch::Unfinished;
      }
      const bool whole = word.back() == ' ' || is_blank_or_end(static_cast<char>(bytes[kVerb]));
      return whole ? VerbMatch::Yes : VerbMatch::No;
    }
  }
  return VerbMatch::No;
}

} // namespace outguard::guest
