// The filter at a VM's tap: drops what a rule forbids, and leaves all else to whoever filters next.
// Runs in the kernel for every packet of both directions; its maps are filled by tc_filter.cpp.
// Headers are copied out before they are looked at: a guest chooses how its frames lie in memory.
// GSO frames are frames. What is inside a tunnel is not looked at.
#include "respond/bpf/packet.h"

enum {
  kMostNested = 129, // networks that hold each other: one a prefix length
};

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

  uint32_t at = 0;
  uint16_t type = 0;
  struct tags tags = {};
  const enum layer found = network_layer(skb, &type, &at, &tags);
  if (found == kCutOff) {
    return isolated ? verdict(kDropIsolation) : kNextFilter;
  }
  if (found == kTooManyTags) {
    return in_force(now_set->last_until) ? verdict(kDropUnreadable) : kNextFilter;
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
