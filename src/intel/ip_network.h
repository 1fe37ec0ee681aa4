#pragma once
// An address with a prefix length, and the bit arithmetic on it. Value type.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/ip_address.h"

namespace outguard::intel {

[[nodiscard]] constexpr std::uint8_t most_prefix(IpFamily family) {
  return family == IpFamily::V4 ? 32 : 128;
}

/// Cuts one address to many prefix lengths; two words, so that a look-up costs a few cycles each.
class PrefixCutter {
public:
  explicit PrefixCutter(const IpAddress &address) : octets_(address.octets().size()) {
    std::memcpy(whole_.data(), address.bytes.data(), sizeof whole_);
  }

  /// The octets with all bits after the first `prefix` cleared; valid until the next call.
  [[nodiscard]] std::string_view cut(std::uint8_t prefix) {
    cut_ = {whole_[0] & mask(std::min<unsigned>(prefix, 64)),
            whole_[1] & mask(prefix > 64 ? prefix - 64U : 0)};
    return {reinterpret_cast<const char *>(cut_.data()), octets_};
  }

private:
  /// The first `bits` of 8 bytes in network order.
  [[nodiscard]] static std::uint64_t mask(unsigned bits) {
    return bits == 0 ? 0 : __builtin_bswap64(~std::uint64_t{0} << (64 - bits));
  }

  std::size_t octets_;
  std::array<std::uint64_t, 2> whole_{};
  std::array<std::uint64_t, 2> cut_{};
};

[[nodiscard]] inline IpAddress masked(const IpAddress &address, std::uint8_t prefix) {
  IpAddress result{address.family, {}};
  PrefixCutter cutter(address);
  const auto octets = cutter.cut(prefix);
  std::memcpy(result.bytes.data(), octets.data(), octets.size());
  return result;
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
