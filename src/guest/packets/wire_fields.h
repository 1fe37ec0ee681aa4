#pragma once
// What both ways of decoding read in the same way: numbers in network order, VLAN tags.

#include <cstdint>
#include <cstring>
#include <span>

namespace outguard::guest {

[[nodiscard]] inline std::uint16_t big16(std::span<const std::uint8_t, 2> bytes) {
  return static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]);
}
[[nodiscard]] inline std::uint32_t big32(std::span<const std::uint8_t, 4> bytes) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof value); // the product runs on x86-64 only
  return __builtin_bswap32(value);
}

[[nodiscard]] inline bool is_vlan_tag(std::uint16_t ether_type) {
  return ether_type == 0x8100 || ether_type == 0x88a8 || ether_type == 0x9100 ||
         ether_type == 0x9200;
}
[[nodiscard]] inline std::uint16_t vlan_id(std::uint16_t control) {
  return control & 0x0fffU;
}

/// Tells networks below different tags apart; that they are rarely many makes a plain mix do.
[[nodiscard]] inline std::uint32_t network_below(std::uint32_t network, std::uint32_t tag) {
  return (network ^ tag) * 0x9e3779b1U + 1;
}

} // namespace outguard::guest
