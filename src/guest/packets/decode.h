#pragma once
// Frames to DecodedPacket: Ethernet with VLAN tags, the raw, cooked and loopback link types of
// files, IPv4 and IPv6 with options and extension headers, TCP, UDP, ICMP. Other IP protocols come
// out without ports. Total over any bytes; pure; checksums are neither verified nor trusted.

#include <optional>

#include "guest/packets/decoded_packet.h"
#include "guest/packets/drop_reason.h"
#include "guest/packets/packet_view.h"

namespace outguard::guest {

inline constexpr int kMaxExtensionHeaders = 12; ///< RFC 8200 names seven, each once, but for two

/// Fills `out`, or tells why not (then `out` is unspecified).
[[nodiscard]] std::optional<DropReason> decode(const PacketView &packet, DecodedPacket &out);

} // namespace outguard::guest
