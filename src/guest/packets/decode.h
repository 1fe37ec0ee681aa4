#pragma once
// Frames to DecodedPacket: Ethernet with VLAN tags, MPLS and PPPoE, the raw, cooked and loopback
// link types of files, IPv4 and IPv6 with options and extension headers, TCP, UDP, ICMP. Other IP
// protocols come out without ports, fragments with their part of the payload. Total over any
// bytes; pure; checksums are neither verified nor trusted.

#include <optional>

#include "guest/packets/decoded_packet.h"
#include "guest/packets/drop_reason.h"
#include "guest/packets/packet_view.h"
#include "guest/packets/plain_packet.h"

namespace outguard::guest {

inline constexpr int kMaxExtensionHeaders = 12; ///< RFC 8200 names seven, each once, but for two
inline constexpr int kMaxLabels = 8;            ///< MPLS; providers stack three or four

/// Fills `out`, or tells why not (then `out` is unspecified). Of any packet; decode() is faster.
[[nodiscard]] std::optional<DropReason> decode_any(const PacketView &packet, DecodedPacket &out);

/// The same.
[[nodiscard]] inline std::optional<DropReason> decode(const PacketView &packet,
                                                      DecodedPacket &out) {
  return decode_plain(packet, out) ? std::nullopt : decode_any(packet, out);
}

/// The packet inside `outer`, whose payload is a tunnel's.
[[nodiscard]] std::optional<DropReason> decode_inner(const DecodedPacket &outer,
                                                     DecodedPacket &out);

/// The packet that `fragment` is a part of: `payload` is what all parts carry, or as much of it as
/// there is from the first byte on; `protocol` what the first part says.
[[nodiscard]] std::optional<DropReason> decode_joined(const DecodedPacket &fragment,
                                                      std::uint8_t protocol,
                                                      std::span<const std::uint8_t> payload,
                                                      DecodedPacket &out);

} // namespace outguard::guest
