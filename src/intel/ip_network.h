#pragma once
// An address with a prefix length, and the bit arithmetic on it. Value type.

#include <cstdint>

#include "base/ip_address.h"

namespace outguard::intel {

[[nodiscard]] constexpr std::uint8_t most_prefix(IpFamily family) {
  return family == IpFamily::V4 ? 32 : 128;
}

/// The address with all bits after the first `prefix` cleared.
[[nodiscard]] inline IpAddress masked(IpAddress address, std::uint8_t prefix) {
  const std::size_t whole = prefix / 8;
  for (std::size_t i = whole; i < address.bytes.size(); ++i) {
    const unsigned keep = i == whole ? 0xff00U >> (prefix % 8) : 0;
    address.bytes[i] = static_cast<std::uint8_t>(address.bytes[i] & keep);
  }
  return address;
}

struct IpNetwork {
  IpAddress address; ///< host bits clear
  std::uint8_t prefix = 0;

  [[nodiscard]] bool contains(const IpAddress &other) const {
    return other.family == address.family && masked(other, prefix) == address;
  }
  /// Two networks overlap exactly when the wider one holds the other's first address.
  [[nodiscard]] bool overlaps(const IpNetwork &other) const {
    return prefix <= other.prefix ? contains(other.address) : other.contains(address);
  }

  auto operator<=>(const IpNetwork &) const = default;
};

} // namespace outguard::intel
