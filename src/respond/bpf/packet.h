#pragma once
// What the programs at a tap read of a packet: tags, network layer, the flow it is of, seen from
// the guest. Headers are copied out before they are looked at: a guest chooses how its frames lie
// in memory. GSO frames are frames. What is inside a tunnel is not looked at.

#include "respond/bpf/kernel.h"

enum {
  kOwnPacketMark = 0x0075a11d, // respond/packet_injector.h
  kMostTags = 2,               // in the frame; the kernel may have taken one off before
  kMostExtensionHeaders = 8,
};

enum { kTypeIpv4 = 0x0800, kTypeArp = 0x0806, kTypeIpv6 = 0x86dd };
enum { kTypeVlan = 0x8100, kTypeServiceVlan = 0x88a8, kTypeOldServiceVlan = 0x9100 };
enum { kTcp = 6, kUdp = 17, kIcmpv6 = 58, kNoNextHeader = 59 };
enum { kHopByHop = 0, kRouting = 43, kFragment = 44, kAuthentication = 51, kDestination = 60 };

enum way { kFromGuest, kToGuest };

struct packet {
  struct TapFlow flow;
  uint32_t fragment_id;
  uint32_t transport_at; // 0: a later fragment, or unreadable
  uint8_t hops;
  uint8_t is_fragment;       // of a datagram in several
  uint8_t is_later_fragment; // has no header of the transport
  uint8_t has_ports;
  uint8_t unreadable; // has ports, and nobody here can tell which
  uint8_t for_setup;  // ND or DHCP as it is spoken on the link: passes in isolation
};

enum layer { kCutOff, kTooManyTags, kNetworkLayer };

struct tags {
  uint16_t id[kMostTags]; // in the frame, outer first; ~0: none
};

INLINE enum layer network_layer(const struct __sk_buff *skb, uint16_t *type, uint32_t *at,
                                struct tags *tags) {
  *at = 14;
  if (load_bytes(skb, 12, type, sizeof *type)) {
    return kCutOff;
  }
  *type = HOST_ORDER_16(*type);
#pragma clang loop unroll(full)
  for (int i = 0; i < kMostTags; ++i) {
    tags->id[i] = 0xffff;
  }
#pragma clang loop unroll(full)
  for (int i = 0; i <= kMostTags; ++i) {
    if (*type != kTypeVlan && *type != kTypeServiceVlan && *type != kTypeOldServiceVlan) {
      break;
    }
    uint16_t tag[2];
    if (i == kMostTags || load_bytes(skb, *at, tag, sizeof tag)) {
      return kTooManyTags;
    }
    tags->id[i] = HOST_ORDER_16(tag[0]) & 0xfff;
    *type = HOST_ORDER_16(tag[1]);
    *at += 4;
  }
  return kNetworkLayer;
}

/// Takes source and destination apart into the guest's side and the remote's.
INLINE void take_addresses(struct packet *packet, enum way way, const uint8_t *source,
                           const uint8_t *destination, uint32_t length) {
  __builtin_memcpy(packet->flow.local, way == kFromGuest ? source : destination, length);
  __builtin_memcpy(packet->flow.remote, way == kFromGuest ? destination : source, length);
}

INLINE int is_all(const uint8_t *address, uint8_t byte) {
  return address[0] == byte && address[1] == byte && address[2] == byte && address[3] == byte;
}

/// A guest asks the link, never one host: isolation must not be left by way of DHCP.
INLINE int is_dhcp(const struct packet *packet, enum way way) {
  const struct TapFlow *flow = &packet->flow;
  if (flow->protocol != kUdp || !packet->has_ports) {
    return 0;
  }
  if (flow->family == 4) {
    return flow->local_port == 68 && flow->remote_port == 67 &&
           (way == kToGuest || is_all(flow->remote, 255));
  }
  const uint8_t *to = flow->remote; // ff02::1:2, all DHCP servers and relays
  return flow->local_port == 546 && flow->remote_port == 547 &&
         (way == kToGuest ||
          (to[0] == 0xff && to[1] == 2 && is_all(to + 2, 0) && is_all(to + 6, 0) && to[10] == 0 &&
           to[11] == 0 && to[12] == 0 && to[13] == 1 && to[14] == 0 && to[15] == 2));
}

INLINE void take_ports(const struct __sk_buff *skb, struct packet *packet, uint32_t at,
                       enum way way) {
  const uint8_t protocol = packet->flow.protocol;
  packet->transport_at = packet->is_later_fragment ? 0 : at;
  if ((protocol != kTcp && protocol != kUdp) || packet->is_later_fragment) {
    return;
  }
  uint16_t ports[2];
  if (load_bytes(skb, at, ports, sizeof ports)) {
    packet->unreadable = 1;
    return;
  }
  const uint16_t source = HOST_ORDER_16(ports[0]);
  const uint16_t destination = HOST_ORDER_16(ports[1]);
  packet->flow.local_port = way == kFromGuest ? source : destination;
  packet->flow.remote_port = way == kFromGuest ? destination : source;
  packet->has_ports = 1;
  packet->for_setup = !packet->is_fragment && is_dhcp(packet, way);
}

/// 0: not IP after all.
INLINE int parse_ipv4(const struct __sk_buff *skb, struct packet *packet, uint32_t at,
                      enum way way) {
  uint8_t header[20];
  if (load_bytes(skb, at, header, sizeof header) || header[0] >> 4 != 4 || (header[0] & 15) < 5) {
    return 0;
  }
  packet->flow.family = 4;
  packet->flow.protocol = header[9];
  packet->hops = header[8];
  take_addresses(packet, way, header + 12, header + 16, 4);
  const uint16_t offset = (uint16_t)((header[6] & 0x1f) << 8 | header[7]);
  packet->is_later_fragment = offset != 0;
  packet->is_fragment = offset != 0 || (header[6] & 0x20) != 0;
  packet->fragment_id = (uint32_t)(header[4] << 8 | header[5]);
  take_ports(skb, packet, at + 4 * (header[0] & 15), way);
  return 1;
}

INLINE int parse_ipv6(const struct __sk_buff *skb, struct packet *packet, uint32_t at,
                      enum way way) {
  uint8_t header[40];
  if (load_bytes(skb, at, header, sizeof header) || header[0] >> 4 != 6) {
    return 0;
  }
  packet->flow.family = 6;
  take_addresses(packet, way, header + 8, header + 24, 16);
  packet->hops = header[7];
  uint8_t next = header[6];
  at += sizeof header;
  // A later fragment's data may look like anything: nothing is read behind its header.
#pragma clang loop unroll(full)
  for (int i = 0; i < kMostExtensionHeaders; ++i) {
    if (packet->is_later_fragment || (next != kHopByHop && next != kRouting && next != kFragment &&
                                      next != kAuthentication && next != kDestination)) {
      break;
    }
    uint8_t extension[8];
    if (load_bytes(skb, at, extension, sizeof extension)) {
      packet->unreadable = 1;
      return 1;
    }
    if (next == kFragment) {
      const uint16_t offset = (uint16_t)(extension[2] << 8 | (extension[3] & 0xf8));
      packet->is_later_fragment = offset != 0;
      packet->is_fragment = offset != 0 || (extension[3] & 1) != 0;
      __builtin_memcpy(&packet->fragment_id, extension + 4, 4);
      at += 8;
    } else if (next == kAuthentication) {
      at += 4 * (extension[1] + 2);
    } else {
      at += 8 * (extension[1] + 1);
    }
    next = extension[0];
  }
  if (!packet->is_later_fragment && (next == kHopByHop || next == kRouting || next == kFragment ||
                                     next == kAuthentication || next == kDestination)) {
    packet->unreadable = 1; // more headers than anybody honest sends
    return 1;
  }
  packet->flow.protocol = next;
  if (next == kIcmpv6 && !packet->is_fragment) {
    uint8_t type = 0;
    // Router and neighbour solicitation and advertisement, from this very link (RFC
    // 4861, 6.1, 7.1).
    packet->for_setup =
        load_bytes(skb, at, &type, 1) == 0 && type >= 133 && type <= 136 && packet->hops == 255;
  }
  take_ports(skb, packet, at, way);
  return 1;
}

INLINE struct TapFragment fragment_of(const struct packet *packet) {
  struct TapFragment key = {.family = packet->flow.family,
                            .protocol = packet->flow.family == 4 ? packet->flow.protocol : 0,
                            .id = packet->fragment_id};
  __builtin_memcpy(key.local, packet->flow.local, 16);
  __builtin_memcpy(key.remote, packet->flow.remote, 16);
  return key;
}
