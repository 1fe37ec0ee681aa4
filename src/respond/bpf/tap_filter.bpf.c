// The filter at a VM's tap: drops what a rule forbids, and leaves all else to whoever filters next.
// Runs in the kernel for every packet of both directions; its maps are filled by tc_filter.cpp.
// Headers are copied out before they are looked at: a guest chooses how its frames lie in memory.
// GSO frames are frames. What is inside a tunnel is not looked at.
#include "respond/bpf/kernel.h"

enum {
  kOwnPacketMark = 0x0075a11d, // respond/packet_injector.h
  kMostTags = 2,               // in the frame; the kernel may have taken one off before
  kMostExtensionHeaders = 8,
  kMostNested = 129, // networks that hold each other: one a prefix length
};

enum { kTypeIpv4 = 0x0800, kTypeArp = 0x0806, kTypeIpv6 = 0x86dd };
enum { kTypeVlan = 0x8100, kTypeServiceVlan = 0x88a8, kTypeOldServiceVlan = 0x9100 };
enum { kTcp = 6, kUdp = 17, kIcmpv6 = 58, kNoNextHeader = 59 };
enum { kHopByHop = 0, kRouting = 43, kFragment = 44, kAuthentication = 51, kDestination = 60 };

struct {
  MAP_NUMBER(type, kMapArray);
  MAP_NUMBER(max_entries, 1);
  MAP_TYPE(key, uint32_t);
  MAP_TYPE(value, struct TapSettings);
} settings SECTION(".maps");

struct {
  MAP_NUMBER(type, kMapHash);
  MAP_NUMBER(map_flags, kNoPreallocation);
  MAP_NUMBER(max_entries, kMostFlows);
  MAP_TYPE(key, struct TapFlow);
  MAP_TYPE(value, uint64_t);
} flows SECTION(".maps");

struct {
  MAP_NUMBER(type, kMapPrefixTree);
  MAP_NUMBER(map_flags, kNoPreallocation);
  MAP_NUMBER(max_entries, kMostRemotes);
  MAP_TYPE(key, struct TapNetwork);
  MAP_TYPE(value, struct TapRemote);
} remotes SECTION(".maps");

struct {
  MAP_NUMBER(type, kMapHash);
  MAP_NUMBER(map_flags, kNoPreallocation);
  MAP_NUMBER(max_entries, kMostPorts);
  MAP_TYPE(key, struct TapPort);
  MAP_TYPE(value, struct TapPortUntil);
} ports SECTION(".maps");

struct {
  MAP_NUMBER(type, kMapPrefixTree);
  MAP_NUMBER(map_flags, kNoPreallocation);
  MAP_NUMBER(max_entries, kMostAllowedEntries);
  MAP_TYPE(key, struct TapNetwork);
  MAP_TYPE(value, uint32_t);
} allowed SECTION(".maps");

// Later fragments have no ports: they follow their first one's fate. One that overtakes it passes,
// and is never put together by the receiver.
struct {
  MAP_NUMBER(type, kMapLruHash);
  MAP_NUMBER(max_entries, kMostFragments);
  MAP_TYPE(key, struct TapFragment);
  MAP_TYPE(value, uint64_t);
} fragments SECTION(".maps");

struct {
  MAP_NUMBER(type, kMapPerCpuArray);
  MAP_NUMBER(max_entries, kDropKinds);
  MAP_TYPE(key, uint32_t);
  MAP_TYPE(value, uint64_t);
} drops SECTION(".maps");

enum way { kFromGuest, kToGuest };

struct packet {
  struct TapFlow flow;
  uint32_t fragment_id;
  uint8_t is_fragment;       // of a datagram in several
  uint8_t is_later_fragment; // has no header of the transport
  uint8_t has_ports;
  uint8_t unreadable; // has ports, and nobody here can tell which
  uint8_t for_setup;  // ND or DHCP as it is spoken on the link: passes in isolation
};

INLINE int verdict(enum TapDrop why) {
  const uint32_t index = why;
  uint64_t *count = map_lookup(&drops, &index);
  if (count) {
    *count += 1;
  }
  return kDropPacket;
}

/// Reading the clock costs more than a look-up: only what was found asks for it.
INLINE int in_force(uint64_t until) {
  return (long long)(until - boot_time()) > 0;
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
        load_bytes(skb, at, &type, 1) == 0 && type >= 133 && type <= 136 && header[7] == 255;
  }
  take_ports(skb, packet, at, way);
  return 1;
}

INLINE int is_flow_forbidden(const struct packet *packet) {
  const uint64_t *until = map_lookup(&flows, &packet->flow);
  return until && in_force(*until);
}

INLINE int is_remote_forbidden(const struct packet *packet) {
  struct TapNetwork key = {.prefix_length = 32 + 128, .kind = {packet->flow.family}};
  __builtin_memcpy(key.address, packet->flow.remote, 16);
  for (int i = 0; i < kMostNested; ++i) {
    const struct TapRemote *found = map_lookup(&remotes, &key);
    if (!found) {
      return 0;
    }
    if (in_force(found->until)) {
      return 1;
    }
    if (found->prefix_length <= 32 || found->prefix_length > key.prefix_length) {
      return 0;
    }
    key.prefix_length = found->prefix_length - 1;
  }
  return 0;
}

INLINE int is_port_forbidden_at(uint8_t protocol, uint16_t port, int outbound) {
  const struct TapPort key = {.protocol = protocol, .port = port};
  const struct TapPortUntil *found = map_lookup(&ports, &key);
  return found && (in_force(found->until[outbound]) || in_force(found->until[2]));
}

INLINE int is_port_forbidden(const struct packet *packet) {
  const struct TapFlow *flow = &packet->flow;
  return is_port_forbidden_at(flow->protocol, flow->local_port, 0) ||
         is_port_forbidden_at(flow->protocol, flow->remote_port, 1);
}

INLINE int is_allowed(const struct packet *packet, uint32_t generation) {
  struct TapNetwork key = {.prefix_length = 32 + 128,
                           .kind = {packet->flow.family, (uint8_t)generation,
                                    (uint8_t)(generation >> 8), (uint8_t)(generation >> 16)}};
  __builtin_memcpy(key.address, packet->flow.remote, 16);
  return map_lookup(&allowed, &key) != 0;
}

INLINE struct TapFragment fragment_of(const struct packet *packet) {
  struct TapFragment key = {.family = packet->flow.family,
                            .protocol = packet->flow.family == 4 ? packet->flow.protocol : 0,
                            .id = packet->fragment_id};
  __builtin_memcpy(key.local, packet->flow.local, 16);
  __builtin_memcpy(key.remote, packet->flow.remote, 16);
  return key;
}

/// Drops a first fragment, and marks those to come.
INLINE int drop_datagram(const struct packet *packet, enum TapDrop why) {
  if (packet->is_fragment) {
    const struct TapFragment key = fragment_of(packet);
    const uint64_t until =
        boot_time() + 30000000000ULL; // a receiver waits no longer: net.ipv4.ipfrag_time
    map_update(&fragments, &key, &until, 0);
  }
  return verdict(why);
}

INLINE int judge(const struct __sk_buff *skb, enum way way) {
  const uint32_t zero = 0;
  const struct TapSettings *now_set = map_lookup(&settings, &zero);
  if (!now_set || now_set->kinds == 0 || (way == kToGuest && skb->mark == kOwnPacketMark)) {
    return kNextFilter;
  }
  const uint32_t kinds = now_set->kinds;
  const int isolated = (kinds & kHasIsolation) && in_force(now_set->isolated_until);

  uint32_t at = 14;
  uint16_t type = 0;
  if (load_bytes(skb, 12, &type, sizeof type)) {
    return isolated ? verdict(kDropIsolation) : kNextFilter;
  }
  type = HOST_ORDER_16(type);
#pragma clang loop unroll(full)
  for (int i = 0; i <= kMostTags; ++i) {
    if (type != kTypeVlan && type != kTypeServiceVlan && type != kTypeOldServiceVlan) {
      break;
    }
    if (i == kMostTags || load_bytes(skb, at + 2, &type, sizeof type)) {
      return in_force(now_set->last_until) ? verdict(kDropUnreadable) : kNextFilter;
    }
    type = HOST_ORDER_16(type);
    at += 4;
  }
  if (type == kTypeArp) {
    return kNextFilter;
  }

  struct packet packet = {};
  if (!(type == kTypeIpv4   ? parse_ipv4(skb, &packet, at, way)
        : type == kTypeIpv6 ? parse_ipv6(skb, &packet, at, way)
                            : 0)) {
    return isolated ? verdict(kDropIsolation) : kNextFilter;
  }
  if ((kinds & kHasRemotes) && is_remote_forbidden(&packet)) {
    return verdict(kDropRemote);
  }
  if (kinds & (kHasFlows | kHasPorts)) {
    if (packet.unreadable && in_force(now_set->last_until)) {
      return verdict(kDropUnreadable);
    }
    if (packet.is_later_fragment) {
      const struct TapFragment key = fragment_of(&packet);
      const uint64_t *until = map_lookup(&fragments, &key);
      if (until && in_force(*until)) {
        return verdict(kDropFlow);
      }
    }
    if (packet.has_ports) {
      if ((kinds & kHasFlows) && is_flow_forbidden(&packet)) {
        return drop_datagram(&packet, kDropFlow);
      }
      if ((kinds & kHasPorts) && is_port_forbidden(&packet)) {
        return drop_datagram(&packet, kDropPort);
      }
    }
  }
  if (isolated && !packet.for_setup && !is_allowed(&packet, now_set->generation)) {
    return verdict(kDropIsolation);
  }
  return kNextFilter;
}

SECTION("tc") int from_guest(struct __sk_buff *skb) {
  return judge(skb, kFromGuest);
}

SECTION("tc") int to_guest(struct __sk_buff *skb) {
  return judge(skb, kToGuest);
}

// Not a licence that the kernel counts as GPL: every helper above may be called without.
SECTION("license") const char kLicense[] = "unspecified";
