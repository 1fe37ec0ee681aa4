#pragma once
// An IPv4 or IPv6 address as plain bytes in network order, and a TCP/UDP endpoint.
// Value types: no heap, comparable, hashable with a seed.

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace outguard {

enum class IpFamily : std::uint8_t { V4 = 4, V6 = 6 };

struct IpAddress {
  IpFamily family = IpFamily::V4;
  std::array<std::uint8_t, 16> bytes{}; ///< network order; IPv4 uses the first 4, the rest is zero

  [[nodiscard]] static IpAddress v4(std::span<const std::uint8_t, 4> network_order);
  [[nodiscard]] static IpAddress v6(std::span<const std::uint8_t, 16> network_order);
  /// Strict text forms of inet_pton(3) only; no leading or trailing blanks, no zone index.
  [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text);

  [[nodiscard]] std::span<const std::uint8_t> octets() const {
    return std::span(bytes).first(family == IpFamily::V4 ? 4 : 16);
  }
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] bool is_unspecified() const;
  /// ::ffff:a.b.c.d becomes a.b.c.d; every other address stays as it is.
  [[nodiscard]] IpAddress unmapped() const;

  auto operator<=>(const IpAddress &) const = default;
};

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0; ///< host order

  /// "10.0.0.1:80" or "[fe80::1]:80".
  [[nodiscard]] std::string to_string() const;
  /// The reverse of to_string().
  [[nodiscard]] static std::optional<Endpoint> parse(std::string_view text);

  auto operator<=>(const Endpoint &) const = default;
};

/// IANA protocol numbers that the product names.
enum class IpProtocol : std::uint8_t { Icmp = 1, Tcp = 6, Udp = 17, Icmpv6 = 58, UdpLite = 136 };

/// Lower-case name ("tcp"), or the number as text for one that has none here.
[[nodiscard]] std::string protocol_name(std::uint8_t protocol);

} // namespace outguard
