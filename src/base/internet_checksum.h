#pragma once
// The checksum of IP, TCP, UDP and ICMP (RFC 1071). Pure functions, big-endian words.

#include <cstdint>
#include <span>

namespace outguard {

/// Continued from `sum`; of several pieces only the last may have an odd length.
[[nodiscard]] inline std::uint64_t add_words(std::span<const std::uint8_t> bytes,
                                             std::uint64_t sum = 0) {
  const std::size_t even = bytes.size() & ~std::size_t{1};
  for (std::size_t i = 0; i < even; i += 2) {
    sum += static_cast<std::uint64_t>(bytes[i] << 8 | bytes[i + 1]);
  }
  return even == bytes.size() ? sum : sum + (std::uint64_t{bytes[even]} << 8);
}

/// What stands in the packet is the complement. Over a packet with a right one it is 0xffff.
[[nodiscard]] inline std::uint16_t fold_sum(std::uint64_t sum) {
  while (sum >> 16 != 0) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(sum);
}

} // namespace outguard
