// Holds the first packets of a flow at a VM's tap until the sensor has judged them (facts/hold.h).
//
//   tap ── from_guest, to_guest ──> hold device ══ veth ══ judge device ── judge
//   tap <── answered (at the hold device) <──────────────────────────────────┘
//
// What was let out passes the tap's programs again: whatever else filters there has its say. Order:
// a packet goes past the judge only once all of its flow that went to the judge are through.
#include "respond/bpf/hold_maps.h"
#include "respond/bpf/packet.h"

enum { kMostWaitingPackets = 1024, kMostWaitingOfFlow = 64 }; // facts/hold.h
enum { kIcmp = 1, kIgmp = 2 };
enum answer { kAllow, kRefuse, kOnce, kFollow };
enum { kHeldToGuest = 1, kHeldLater = 2, kHeldAgain = 4 };
enum { kMarkMask = 0xffff0000U };
enum { kSynAck = 0x12, kSyn = 0x02 };

#define LOST_AFTER 2000000000ULL      // who waited so long is not on its way any more
#define FRAGMENTS_LAST 30000000000ULL // a receiver waits no longer: net.ipv4.ipfrag_time

struct pulse { // facts' HoldPulse
  uint64_t beat;
  uint64_t drained;
  uint64_t zero[6];
  uint64_t held;
  uint64_t answered;
};

struct {
  MAP_NUMBER(type, kMapArray);
  MAP_NUMBER(max_entries, 1);
  MAP_TYPE(key, uint32_t);
  MAP_TYPE(value, struct HoldKernelSettings);
} settings SECTION(".maps");

struct {
  MAP_NUMBER(type, kMapArray);
  MAP_NUMBER(map_flags, kMappable);
  MAP_NUMBER(max_entries, 1);
  MAP_TYPE(key, uint32_t);
  MAP_TYPE(value, struct pulse);
} pulse SECTION(".maps");

struct {
  MAP_NUMBER(type, kMapLruHash);
  MAP_NUMBER(max_entries, kMostVerdicts);
  MAP_TYPE(key, struct HoldFlow);
  MAP_TYPE(value, struct HoldVerdictKept);
} verdicts SECTION(".maps");

struct {
  MAP_NUMBER(type, kMapLruHash);
  MAP_NUMBER(max_entries, kMostWaitingFlows);
  MAP_TYPE(key, struct HoldFlow);
  MAP_TYPE(value, struct HoldWaiting);
} waiting SECTION(".maps");

struct {
  MAP_NUMBER(type, kMapLruHash);
  MAP_NUMBER(max_entries, kMostHeldFragments);
  MAP_TYPE(key, struct TapFragment);
  MAP_TYPE(value, struct HoldFragment);
} fragments SECTION(".maps");

struct {
  MAP_NUMBER(type, kMapPerCpuArray);
  MAP_NUMBER(max_entries, kHoldCountKinds);
  MAP_TYPE(key, uint32_t);
  MAP_TYPE(value, uint64_t);
} counts SECTION(".maps");

INLINE void count(enum HoldCount what) {
  const uint32_t index = what;
  uint64_t *number = map_lookup(&counts, &index);
  if (number) {
    *number += 1;
  }
}

INLINE int drop(enum HoldCount why) {
  count(why);
  return kDropPacket;
}

INLINE int is_past(uint64_t time, uint64_t now) {
  return (long long)(time - now) <= 0;
}

enum kind { kNotHeld, kAstray, kUnreadable, kOfFlow };

struct seen {
  struct packet packet;
  struct HoldFlow key;
  uint8_t opens;  // a TCP SYN
  uint8_t by_any; // any packet opens a flow of this protocol
};

INLINE struct TapFragment datagram_of(const struct packet *packet, enum way way) {
  struct TapFragment key = fragment_of(packet);
  key.zero = way; // identifiers are the sender's
  return key;
}

/// Neither crosses a router (RFC 3376, 4; RFC 3810, 5).
INLINE int is_group_membership(const struct packet *packet, uint8_t type) {
  const struct TapFlow *flow = &packet->flow;
  if (flow->family == 4) {
    return flow->protocol == kIgmp && packet->hops == 1;
  }
  return flow->protocol == kIcmpv6 && packet->hops == 1 &&
         ((type >= 130 && type <= 132) || type == 143);
}

/// The flow of a first or only fragment: what stands where the ports would.
INLINE enum kind read_transport(const struct __sk_buff *skb, struct seen *seen) {
  struct packet *packet = &seen->packet;
  struct TapFlow *flow = &packet->flow;
  uint8_t start[14] = {};
  seen->by_any = flow->protocol != kTcp;
  if (flow->protocol == kTcp) {
    if (load_bytes(skb, packet->transport_at, start, 14)) {
      return kUnreadable;
    }
    seen->opens = (start[13] & kSynAck) == kSyn;
  } else if (flow->protocol == (flow->family == 4 ? kIcmp : kIcmpv6)) {
    if (load_bytes(skb, packet->transport_at, start, 8)) {
      return kUnreadable;
    }
    const uint8_t request = flow->family == 4 ? 8 : 128;
    const uint8_t reply = flow->family == 4 ? 0 : 129;
    const int is_echo = start[0] == request || start[0] == reply;
    flow->local_port = is_echo ? (uint16_t)(start[4] << 8 | start[5]) : 0;
    flow->remote_port = is_echo ? request : start[0];
  }
  return packet->for_setup || is_group_membership(packet, start[0]) ? kNotHeld : kOfFlow;
}

INLINE enum kind read_packet(const struct __sk_buff *skb, struct seen *seen, enum way way) {
  uint32_t at = 0;
  uint16_t type = 0;
  struct tags tags = {};
  const enum layer found = network_layer(skb, &type, &at, &tags);
  if (found != kNetworkLayer) {
    return found == kTooManyTags ? kUnreadable : kNotHeld;
  }
  if (!(type == kTypeIpv4   ? parse_ipv4(skb, &seen->packet, at, way)
        : type == kTypeIpv6 ? parse_ipv6(skb, &seen->packet, at, way)
                            : 0)) {
    return kNotHeld;
  }
  if (seen->packet.unreadable) {
    return kUnreadable;
  }
  if (seen->packet.is_later_fragment) {
    const struct TapFragment datagram = datagram_of(&seen->packet, way);
    const struct HoldFragment *first = map_lookup(&fragments, &datagram);
    if (!first || is_past(first->until, coarse_time())) {
      return kAstray;
    }
    seen->key = first->flow;
    return kOfFlow;
  }
  const enum kind kind = read_transport(skb, seen);
  const int taken_off = skb->vlan_present != 0;
  seen->key.flow = seen->packet.flow;
  seen->key.tags[0] = taken_off ? skb->vlan_tci & 0xfff : tags.id[0];
  seen->key.tags[1] = taken_off ? tags.id[0] : tags.id[1];
  return kind;
}

INLINE void note_fragments(const struct seen *seen, enum way way) {
  if (seen->packet.is_fragment && !seen->packet.is_later_fragment) {
    const struct TapFragment datagram = datagram_of(&seen->packet, way);
    struct HoldFragment first = {.flow = seen->key, .until = coarse_time() + FRAGMENTS_LAST};
    map_update(&fragments, &datagram, &first, 0);
  }
}

INLINE struct HoldWayWaiting *way_of(struct HoldWaiting *flow, enum way way) {
  return way == kFromGuest ? &flow->ways[0] : &flow->ways[1];
}

/// Nothing of the flow is between here and the judge, or it got lost there.
INLINE int is_clear(struct HoldWaiting *flow, enum way way, uint64_t now) {
  struct HoldWayWaiting *one = way_of(flow, way);
  if (one->held != one->done && is_past(flow->last + LOST_AFTER, now)) {
    one->done = one->answered = one->held;
  }
  return one->held == one->done;
}

INLINE int is_alive(const struct pulse *judge, const struct HoldKernelSettings *set, uint64_t now) {
  // The beat may be later than a coarse now.
  return (long long)(now - judge->beat) < (long long)set->bound;
}

INLINE int is_full(struct pulse *judge) {
  const uint64_t drained = judge->drained;
  if ((long long)(drained - judge->answered) > 0 && (long long)(judge->held - drained) >= 0) {
    judge->answered = drained; // the rest was lost on its way
  }
  return (long long)(judge->held - judge->answered) >= kMostWaitingPackets;
}

INLINE int steer(struct __sk_buff *skb, struct seen *seen, enum way way,
                 const struct HoldKernelSettings *set, struct pulse *judge, uint64_t now) {
  struct HoldWaiting *flow = map_lookup(&waiting, &seen->key);
  if (!flow) {
    const struct HoldWaiting fresh = {.opener = way};
    map_update(&waiting, &seen->key, &fresh, kOnlyNew);
    flow = map_lookup(&waiting, &seen->key);
    if (!flow) {
      return drop(kHoldCrowded);
    }
  }
  if (seen->opens) { // perhaps anew
    flow->opener = way;
    flow->once = 0;
  }
  (void)is_clear(flow, way, now);
  struct HoldWayWaiting *one = way_of(flow, way);
  if (one->held - one->answered >= kMostWaitingOfFlow) {
    return drop(kHoldCrowded);
  }
  if (load_bytes(skb, 6, one->mac, sizeof one->mac)) {
    return drop(kHoldUnreadable);
  }
  one->mark = skb->mark;
  flow->last = now;
  flow->generation = set->generation;
  ADD_ONE(&one->held);
  ADD_ONE(&judge->held);
  count(kHoldHeld);
  skb->mark = kHoldMarks | (way == kToGuest ? kHeldToGuest : 0) |
              (seen->packet.is_later_fragment ? kHeldLater : 0) | (flow->once ? kHeldAgain : 0);
  return (int)redirect(set->hold_device, 0);
}

/// A flow that nobody judges in its opener's way: its answers are not to be judged either.
INLINE void note_unjudged(const struct seen *seen, enum way way,
                          const struct HoldKernelSettings *set, uint64_t now) {
  const struct HoldVerdictKept free = {.until =
                                           now + (seen->by_any ? set->allow_other : set->allow_tcp),
                                       .generation = set->generation,
                                       .opener = way};
  map_update(&verdicts, &seen->key, &free, 0);
}

/// A packet that was let out comes by again. 0: it only looks like one.
INLINE int is_released(struct __sk_buff *skb, const struct seen *seen, enum way way) {
  struct HoldWaiting *flow = map_lookup(&waiting, &seen->key);
  if (!flow) {
    return 0;
  }
  struct HoldWayWaiting *one = way_of(flow, way);
  if ((int)(one->answered - one->done) <= 0) {
    return 0;
  }
  ADD_ONE(&one->done);
  skb->mark = one->mark;
  return 1;
}

INLINE int gate(struct __sk_buff *skb, enum way way) {
  const uint32_t zero = 0;
  const struct HoldKernelSettings *set = map_lookup(&settings, &zero);
  struct pulse *judge = map_lookup(&pulse, &zero);
  if (!set || !judge || set->ways == 0 || (way == kToGuest && skb->mark == kOwnPacketMark)) {
    return kNextFilter;
  }
  const int is_judged = (set->ways >> way) & 1;
  struct seen seen = {};
  const enum kind kind = read_packet(skb, &seen, way);
  if (kind == kNotHeld) {
    return kNextFilter;
  }
  const uint64_t now = coarse_time();
  if (kind != kOfFlow) {
    if (!is_judged || (set->fails_open && !is_alive(judge, set, now))) {
      return kNextFilter;
    }
    return drop(kind == kAstray ? kHoldAstray : kHoldUnreadable);
  }
  if ((skb->mark & kMarkMask) == kReleasedMarks && is_released(skb, &seen, way)) {
    return kNextFilter;
  }
  note_fragments(&seen, way);

  struct HoldVerdictKept *known = map_lookup(&verdicts, &seen.key);
  if (known && known->generation == set->generation) {
    if (known->refused) {
      if (!is_past(known->until, now)) {
        return drop(kHoldRefusedAfter);
      }
    } else if ((!seen.opens || !is_judged) &&
               (!is_past(known->until, now) || !is_alive(judge, set, now))) {
      struct HoldWaiting *flow = known->unsettled ? map_lookup(&waiting, &seen.key) : 0;
      if (!flow || is_clear(flow, way, now) || !is_alive(judge, set, now)) {
        if (flow && is_clear(flow, kFromGuest, now) && is_clear(flow, kToGuest, now)) {
          known->unsettled = 0;
          map_delete(&waiting, &seen.key);
        }
        return kNextFilter;
      }
      return steer(skb, &seen, way, set, judge, now);
    }
  }
  struct HoldWaiting *flow = map_lookup(&waiting, &seen.key);
  if (flow && flow->once && flow->opener != way && !seen.opens && is_clear(flow, way, now)) {
    return kNextFilter;
  }
  if (!is_judged) {
    // Never in place of a judgement that is void or over: it would be got around that way.
    if (!flow && (seen.opens || seen.by_any) && (!known || known->opener == way)) {
      note_unjudged(&seen, way, set, now);
    }
    return kNextFilter;
  }
  if (!is_alive(judge, set, now)) {
    count(set->fails_open ? kHoldDeadOpen : kHoldDeadClosed);
    return set->fails_open ? kNextFilter : kDropPacket;
  }
  if (is_full(judge)) {
    count(set->fails_open ? kHoldFullOpen : kHoldFullClosed);
    return set->fails_open ? kNextFilter : kDropPacket;
  }
  if (known && !known->refused) {
    known->unsettled = 1; // a connection opened anew, or a verdict's end: what follows stays behind
  }
  return steer(skb, &seen, way, set, judge, now);
}

SECTION("tc") int from_guest(struct __sk_buff *skb) {
  return gate(skb, kFromGuest);
}

SECTION("tc") int to_guest(struct __sk_buff *skb) {
  return gate(skb, kToGuest);
}

INLINE int is_same_mac(const uint8_t *a, const uint8_t *b) {
  return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] &&
         a[5] == b[5];
}

INLINE int take_answer(struct __sk_buff *skb, enum way way, enum answer answer) {
  const uint32_t zero = 0;
  const struct HoldKernelSettings *set = map_lookup(&settings, &zero);
  struct pulse *judge = map_lookup(&pulse, &zero);
  struct seen seen = {};
  if (!set || !judge || read_packet(skb, &seen, way) != kOfFlow) {
    return drop(kHoldForged);
  }
  struct HoldWaiting *flow = map_lookup(&waiting, &seen.key);
  uint8_t mac[6];
  if (!flow || load_bytes(skb, 6, mac, sizeof mac)) {
    return drop(kHoldForged);
  }
  struct HoldWayWaiting *one = way_of(flow, way);
  if ((int)(one->held - one->answered) <= 0 || !is_same_mac(mac, one->mac)) {
    return drop(kHoldForged);
  }
  ADD_ONE(&one->answered);
  ADD_ONE(&judge->answered);

  struct HoldVerdictKept *known = map_lookup(&verdicts, &seen.key);
  const int is_allowed = known && !known->refused && known->generation == flow->generation;
  const uint64_t now = coarse_time();
  int passes = answer != kRefuse;
  if (answer == kFollow) {
    passes = is_allowed || (flow->once && !(known && known->refused));
  } else if (answer == kOnce) {
    if (is_allowed && known->opener == way) {
      map_delete(&verdicts, &seen.key);
    }
    flow->once = 1;
    flow->opener = way;
  } else if (answer == kAllow || !is_allowed || known->opener == way) {
    // Of an allowed flow the other end's SYN may be refused: that ends nothing.
    const uint64_t life = answer == kRefuse                ? set->refuse
                          : seen.key.flow.protocol == kTcp ? set->allow_tcp
                                                           : set->allow_other;
    const struct HoldVerdictKept now_known = {.until = now + life,
                                              .generation = flow->generation,
                                              .refused = answer == kRefuse,
                                              .opener = is_allowed ? known->opener : flow->opener,
                                              .unsettled = 1};
    map_update(&verdicts, &seen.key, &now_known, 0);
    flow->once = 0;
  }
  if (!passes) {
    ADD_ONE(&one->done);
    return drop(kHoldRefused);
  }
  count(kHoldAllowed);
  skb->mark = kReleasedMarks | way;
  return (int)redirect(set->tap_device, way == kFromGuest ? kIntoDevice : 0);
}

/// At the hold device. All that was not sent for an answer is the host's own noise.
SECTION("tc") int answered(struct __sk_buff *skb) {
  if ((skb->mark & kMarkMask) != kAnswerMarks) {
    return kDropPacket;
  }
  const enum answer answer = (skb->mark >> 1) & 3;
  return skb->mark & 1 ? take_answer(skb, kToGuest, answer) : take_answer(skb, kFromGuest, answer);
}

/// At the judge's device: its packet socket has seen the packet, and nobody else is to.
SECTION("tc") int after_judge(struct __sk_buff *skb) {
  (void)skb;
  return kDropPacket;
}

// Not a licence that the kernel counts as GPL: every helper above may be called without.
SECTION("license") const char kLicense[] = "unspecified";
