#pragma once
// The packets that nearly all are, decoded in one go: Ethernet with at most one VLAN tag, IPv4
// without options and not a fragment or IPv6 without extension headers, TCP or UDP, nothing cut and
// no length that contradicts another. Any other one is left to decode.h, which makes the same of
// these too. Pure; hostile bytes.

#include "guest/packets/decoded_packet.h"
#include "guest/packets/packet_view.h"

namespace outguard::guest {

/// False: it is no such packet; `out` is unspecified then.
[[nodiscard]] bool decode_plain(const PacketView &packet, DecodedPacket &out);

} // namespace outguard::guest
