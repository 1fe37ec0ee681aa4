#pragma once
// For tests and fuzzers: do the plain way of decoding and the general one make the same of a
// packet?

#include <cstring>

#include "guest/packets/decode.h"
#include "guest/packets/plain_packet.h"

namespace outguard::guest {

[[nodiscard]] inline bool same_packet(const DecodedPacket &a, const DecodedPacket &b) {
  static_assert(sizeof(DecodedPacket) == 144, "a new field? compare it");
  return a.source == b.source && a.destination == b.destination && a.protocol == b.protocol &&
         a.hop_limit == b.hop_limit && a.tcp_flags == b.tcp_flags &&
         a.checked_header == b.checked_header && a.window == b.window &&
         a.direction == b.direction && a.sequence == b.sequence &&
         a.acknowledgment == b.acknowledgment && a.payload_length == b.payload_length &&
         a.wire_length == b.wire_length && a.payload.data() == b.payload.data() &&
         a.payload.size() == b.payload.size() && a.timestamp_ns == b.timestamp_ns &&
         a.source_mac == b.source_mac && a.destination_mac == b.destination_mac &&
         a.network == b.network && a.vlans == b.vlans && a.vlan_count == b.vlan_count &&
         a.tunnel == b.tunnel && a.tunnels.kinds() == b.tunnels.kinds() && a.frames == b.frames &&
         a.carrier.place == b.carrier.place && a.carrier.id == b.carrier.id && a.cut == b.cut &&
         a.is_fragment == b.is_fragment && a.more_fragments == b.more_fragments &&
         a.fragment_id == b.fragment_id && a.fragment_offset == b.fragment_offset;
}

/// True where the plain way leaves the packet to the general one.
[[nodiscard]] inline bool decoders_agree(const PacketView &view) {
  DecodedPacket plain;
  std::memset(static_cast<void *>(&plain), 0x5a, sizeof plain); // what nobody sets shows
  if (!decode_plain(view, plain)) {
    return true;
  }
  DecodedPacket any;
  return !decode_any(view, any) && same_packet(plain, any);
}

} // namespace outguard::guest
