#pragma once
// Headers of tunnels between IP hosts: GRE (RFC 2784, 2890; NVGRE 7637; PPTP's 2637), IP in IP
// (RFC 2003, 4213), VXLAN (RFC 7348), GENEVE (RFC 8926), Teredo (RFC 4380). Pure; hostile bytes.

#include <cstdint>
#include <optional>

#include "facts/flow_seen.h"
#include "guest/bytes/byte_cursor.h"

namespace outguard::guest {

namespace ether_type {
inline constexpr std::uint16_t kIpv4 = 0x0800;
inline constexpr std::uint16_t kIpv6 = 0x86dd;
inline constexpr std::uint16_t kBridged = 0x6558; ///< a whole Ethernet frame
inline constexpr std::uint16_t kPpp = 0x880b;
inline constexpr std::uint16_t kMpls = 0x8847;
inline constexpr std::uint16_t kMplsMulticast = 0x8848;
inline constexpr std::uint16_t kPppoeSession = 0x8864;
} // namespace ether_type

/// What a tunnel carries.
struct TunnelContent {
  std::uint16_t ether_type = 0;
  std::uint32_t network = 0; ///< VXLAN's VNI and its like, equal in both directions; else 0
};

/// What the payload of an IP packet with this protocol number may be; None: no tunnel.
[[nodiscard]] TunnelKind tunnel_of_protocol(std::uint8_t protocol);
/// Likewise of a datagram. Teredo's peers use any port, so it is known by its content too.
[[nodiscard]] TunnelKind tunnel_of_datagram(std::uint16_t source_port,
                                            std::uint16_t destination_port,
                                            std::span<const std::uint8_t> payload);

/// Moves `cursor` behind the header; nullopt: this is no such header, or one that hides its
/// content.
[[nodiscard]] std::optional<TunnelContent> open_tunnel_header(TunnelKind kind, ByteCursor &cursor);

} // namespace outguard::guest
