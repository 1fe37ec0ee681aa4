#pragma once
// ASCII letters to lower case, eight at a time: every observed name passes here.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace outguard::intel {

/// Bytes that are no capital letter stay as they are.
[[nodiscard]] inline std::uint64_t lower_word(std::uint64_t word) {
  constexpr std::uint64_t kEach = 0x0101010101010101;
  const auto low = word & kEach * 0x7f;
  const auto from_a = low + kEach * (0x80 - 'A');       // bit 7: 'A' or later
  const auto behind_z = low + kEach * (0x80 - 'Z' - 1); // bit 7: behind 'Z'
  const auto capital = (from_a ^ behind_z) & ~word & kEach * 0x80;
  return word | capital >> 2; // 0x20
}

/// `to` has room for as many bytes.
inline void lower_copy(std::string_view from, char *to) {
  constexpr std::size_t kWord = sizeof(std::uint64_t);
  const auto lower_at = [&](std::size_t at) {
    std::uint64_t word = 0;
    std::memcpy(&word, from.data() + at, kWord);
    word = lower_word(word);
    std::memcpy(to + at, &word, kWord);
  };
  std::size_t at = 0;
  for (; at + kWord <= from.size(); at += kWord) {
    lower_at(at);
  }
  if (at == from.size()) {
    return;
  }
  if (from.size() >= kWord) {
    return lower_at(from.size() - kWord); // overlaps what is done
  }
  for (; at < from.size(); ++at) {
    to[at] = from[at] >= 'A' && from[at] <= 'Z' ? static_cast<char>(from[at] | 0x20) : from[at];
  }
}

[[nodiscard]] inline std::string lowered(std::string_view text) {
  std::string copy(text.size(), '\0');
  lower_copy(text, copy.data());
  return copy;
}

} // namespace outguard::intel
