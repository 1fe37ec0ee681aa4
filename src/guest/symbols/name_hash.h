#pragma once
// A 64-bit hash of a symbol or type name: fast on short names, good enough to stand for them.
// Whoever could make two names collide writes the table anyway.

#include <cstdint>
#include <cstring>
#include <string_view>

namespace outguard::guest {

[[nodiscard]] inline std::uint64_t name_hash(std::string_view name) {
  constexpr std::uint64_t kFactor = 0x9fb2'1c65'1e98'df25;
  std::uint64_t hash = name.size() * kFactor;
  const auto mix = [&hash](std::uint64_t word) {
    hash = (hash ^ word) * kFactor;
    hash ^= hash >> 32;
  };
  while (name.size() >= sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, name.data(), sizeof word);
    mix(word);
    name.remove_prefix(sizeof word);
  }
  std::uint64_t word = 0;
  if (!name.empty()) {
    std::memcpy(&word, name.data(), name.size());
  }
  mix(word);
  return hash;
}

} // namespace outguard::guest
