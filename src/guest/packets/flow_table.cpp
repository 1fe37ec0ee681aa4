#include "guest/packets/flow_table.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace outguard::guest {

namespace {

constexpr std::uint32_t kExpireBudget = 16384; ///< flows looked at in one expire()
constexpr std::uint32_t kEvictSample = 16;     ///< the longest idle of these goes

constexpr std::uint8_t kTcp = static_cast<std::uint8_t>(IpProtocol::Tcp);
constexpr std::uint8_t kUdp = static_cast<std::uint8_t>(IpProtocol::Udp);

std::uint64_t word_at(const IpAddress &address, std::size_t offset) {
  std::uint64_t word = 0;
  std::memcpy(&word, address.bytes.data() + offset, sizeof word);
  return word;
}

std::uint64_t difference(const Endpoint &a, const Endpoint &b) {
  const auto words = [](const Endpoint &end) { // the family, and the first 15 bytes
    std::array<std::uint64_t, 2> both{};
    static_assert(offsetof(IpAddress, bytes) == 1 && sizeof both == sizeof(IpAddress) - 1);
    std::memcpy(both.data(), &end.address, sizeof both);
    return both;
  };
  const auto of_a = words(a);
  const auto of_b = words(b);
  return (of_a[0] ^ of_b[0]) | (of_a[1] ^ of_b[1]) |
         static_cast<unsigned>((a.address.bytes[15] ^ b.address.bytes[15]) | (a.port ^ b.port));
}

FlowDirection opposite(FlowDirection direction) {
  return direction == FlowDirection::ToRemote ? FlowDirection::ToGuest : FlowDirection::ToRemote;
}

/// RFC 1982: is `a` after `b`?
bool after(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b) > 0;
}

/// A reset of the guest must hit what the guest expects exactly (RFC 5961), and the remote end
/// tries to hide that number: so the guest's acknowledgements say it, and between two of them only
/// what follows in order. What the guest itself sends is taken as it comes.
void track_sequence(Flow &flow, FlowDirection direction, const DecodedPacket &packet,
                    std::uint32_t next) {
  FlowSide &mine = flow.side(direction);
  const bool from_guest = direction == FlowDirection::ToRemote;
  const bool in_order = from_guest || !after(packet.sequence, mine.next_sequence);
  if (!mine.sequence_known || (in_order && after(next, mine.next_sequence))) {
    mine.next_sequence = next;
    mine.sequence_known = true;
  }
  if (from_guest && (packet.tcp_flags & tcp_flag::kAck) != 0) {
    FlowSide &theirs = flow.side(FlowDirection::ToGuest);
    theirs.next_sequence = packet.acknowledgment;
    theirs.sequence_known = true;
  }
}

void track_state(Flow &flow, FlowDirection direction, const DecodedPacket &packet) {
  FlowSide &mine = flow.side(direction);
  const FlowSide &theirs = flow.side(opposite(direction));
  if ((packet.tcp_flags & tcp_flag::kSyn) != 0 && !mine.anchored && !mine.moved) {
    mine.expected = packet.sequence + 1;
    mine.anchored = true;
  }
  if (mine.packets == 0) {
    mine.hop_limit = packet.hop_limit;
  }
  mine.fin = mine.fin || (packet.tcp_flags & tcp_flag::kFin) != 0;
  if (mine.fin && theirs.fin) {
    flow.tcp_state = TcpState::Closed;
  } else if (mine.fin || theirs.fin) {
    flow.tcp_state = TcpState::Closing;
  } else if (flow.tcp_state != TcpState::Closed) {
    flow.tcp_state = theirs.packets > 0 ? TcpState::Open : TcpState::Opening;
  }
}

/// What the opener's peer acknowledges before anything is settled says which of the SYNs it got, or
/// that it got none and an older connection goes on: the guest's root can send any number of them.
void settle_opening(Flow &flow, const DecodedPacket &packet) {
  FlowSide &opener = flow.side(flow.initiator);
  const std::uint32_t begin = flow.first_sequence + 1;
  const std::uint32_t sent = opener.next_sequence - begin; // data in the SYN, or behind it
  const bool is_answer = packet.acknowledgment - begin <= sent;
  const bool is_syn = (packet.tcp_flags & tcp_flag::kSyn) != 0; // data in the SYN may be refused
  if (!is_answer || opener.expected - begin > sent ||
      (is_syn && opener.expected != packet.acknowledgment)) {
    opener.expected = packet.acknowledgment;
    opener.anchored = false;
    opener.moved = true;
    opener.inspected = false;
  }
  flow.answered = is_answer;
}

/// Sequence numbers and a light state: enough for time-outs and for a reset of both ends.
void track_tcp(Flow &flow, FlowDirection direction, const DecodedPacket &packet) {
  const std::uint8_t flags = packet.tcp_flags;
  if ((flags & tcp_flag::kRst) != 0) {
    flow.tcp_state = TcpState::Closed;
    return; // its sequence number says nothing about what the sender would send next
  }
  if (!flow.answered && direction != flow.initiator && (flags & tcp_flag::kAck) != 0) {
    settle_opening(flow, packet);
  }
  const std::uint32_t turns = // each takes a sequence number
      ((flags & tcp_flag::kSyn) != 0 ? 1U : 0U) + ((flags & tcp_flag::kFin) != 0 ? 1U : 0U);
  track_sequence(flow, direction, packet, packet.sequence + packet.payload_length + turns);
  if (turns != 0 || flow.tcp_state != TcpState::Open) { // else it stays open
    track_state(flow, direction, packet);
  }
}

bool opens_connection(const DecodedPacket &packet) {
  return packet.protocol == kTcp && (packet.tcp_flags & tcp_flag::kSyn) != 0 &&
         (packet.tcp_flags & tcp_flag::kAck) == 0;
}

/// The guest agrees to a connection that the remote end opens.
bool accepts_connection(const DecodedPacket &packet, FlowDirection direction) {
  constexpr std::uint8_t kBoth = tcp_flag::kSyn | tcp_flag::kAck;
  return packet.protocol == kTcp && direction == FlowDirection::ToRemote &&
         (packet.tcp_flags & kBoth) == kBoth;
}

/// The flow begins with the answer to its SYN.
void open_by(Flow &flow, FlowDirection initiator, const DecodedPacket &answer) {
  flow.initiator = initiator;
  flow.syn_seen = true;
  flow.answered = true;
  flow.first_sequence = answer.acknowledgment - 1;
  FlowSide &opener = flow.side(initiator);
  opener.expected = answer.acknowledgment;
  opener.anchored = true;
}

SynOffer offer_of(FlowDirection direction) {
  return direction == FlowDirection::ToRemote ? SynOffer::Guest : SynOffer::Remote;
}

enum class SynFate : std::uint8_t { Heeded, Ignored, Begins };

/// Does a SYN belong to the flow, or begin another connection between the same ends? Within a
/// connection it changes nothing (RFC 5961, 4), and whoever has the addresses can send one: so it
/// begins another behind a closed one, where nobody has answered yet, or when its answer comes.
SynFate fate_of_syn(Flow &flow, FlowDirection direction, const DecodedPacket &packet) {
  const bool closed = flow.tcp_state == TcpState::Closed;
  const bool first = flow.side(direction).packets == 0; // else nobody sends before a SYN
  if ((packet.tcp_flags & tcp_flag::kAck) != 0) {
    const std::uint32_t answered = packet.acknowledgment - 1;
    const bool to_offer =
        flow.offer == offer_of(opposite(direction)) && answered == flow.offered_sequence;
    const bool to_unseen = closed && accepts_connection(packet, direction) &&
                           !(flow.syn_seen && answered == flow.first_sequence);
    return to_offer || to_unseen     ? SynFate::Begins
           : first || !flow.answered ? SynFate::Heeded
                                     : SynFate::Ignored;
  }
  if (flow.syn_seen && direction == flow.initiator && packet.sequence == flow.first_sequence) {
    return flow.answered ? SynFate::Ignored : SynFate::Heeded; // repeated
  }
  if (closed || (!first && flow.side(opposite(direction)).packets == 0)) {
    return SynFate::Begins;
  }
  if (first) { // late behind its answer, or both ends open at once
    return SynFate::Heeded;
  }
  if (direction == FlowDirection::ToRemote || flow.offer != SynOffer::Guest) {
    flow.offer = offer_of(direction);
    flow.offered_sequence = packet.sequence;
  }
  return SynFate::Ignored;
}

/// Is the packet one of a flow between these ends, and which way? Where the way it went is known, a
/// frame from the guest with the remote end's address for its source is none: it begins a flow of
/// its own.
bool is_between(const FlowTuple &ends, const DecodedPacket &packet, FlowDirection &direction) {
  const bool outward = packet.direction ? *packet.direction == FlowDirection::ToRemote
                                        : difference(packet.source, ends.local) == 0;
  direction = outward ? FlowDirection::ToRemote : FlowDirection::ToGuest;
  return (difference(packet.source, outward ? ends.local : ends.remote) |
          difference(packet.destination, outward ? ends.remote : ends.local)) == 0;
}

} // namespace

FlowTable::FlowTable(FlowTableConfig config, std::vector<IpAddress> local_addresses,
                     Listener &listener)
    : config_(config), local_addresses_(std::move(local_addresses)), listener_(listener),
      seed_(config.seed ? *config.seed : random_seed()), hash_(seed_) {
  config_.max_flows = std::clamp(config_.max_flows, 1U, 1U << 30);
}

FlowTable::Update FlowTable::update(const DecodedPacket &packet, std::uint32_t hash) {
  FlowDirection direction{};
  Flow *flow = nullptr;
  std::uint32_t place = slots_.find(hash, [&](std::uint32_t candidate) {
    flow = &at(candidate - 1);
    return is_between(flow->tuple, packet, direction) && flow->tuple.protocol == packet.protocol &&
           flow->network == packet.network;
  });
  auto fate = SynFate::Heeded;
  std::optional<FlowDirection> opener;
  if (place != 0 && (packet.tcp_flags & tcp_flag::kSyn) != 0) {
    fate = fate_of_syn(*flow, direction, packet);
    if (fate == SynFate::Begins) {
      if ((packet.tcp_flags & tcp_flag::kAck) != 0) {
        opener = opposite(direction);
      }
      end(place - 1, FlowEnd::Replaced);
      place = 0;
    }
  }
  const bool heeded = fate != SynFate::Ignored;
  counters_.stray_syns += heeded ? 0U : 1U;
  const bool started = place == 0;
  if (started) {
    direction = opener ? direction : first_direction(packet);
    place = start(packet, hash, direction) + 1;
    flow = &at(place - 1);
    if (opener) {
      open_by(*flow, *opener, packet);
    }
  }
  flow->last_packet_ns = packet.timestamp_ns;
  if (packet.protocol == kTcp && heeded) {
    track_tcp(*flow, direction, packet);
  }
  FlowSide &side = flow->side(direction);
  side.packets += packet.frames;
  side.bytes += packet.wire_length;
  return {*flow, direction, started, heeded, {place, static_cast<std::uint32_t>(flow->id)}};
}

const Flow *FlowTable::find(FlowReference reference) const {
  if (reference.place == 0) {
    return nullptr;
  }
  const Flow &flow = at(reference.place - 1); // chunks are never given back
  return flow.id != 0 && static_cast<std::uint32_t>(flow.id) == reference.id ? &flow : nullptr;
}

/// Ports are left out: a VXLAN sender has one for each flow inside.
std::uint32_t FlowTable::network_inside(const DecodedPacket &outer, std::uint32_t own) const {
  KeyedHash hash(seed_);
  for (const std::size_t half : {0U, 8U}) { // the same whichever end sends
    const auto source = word_at(outer.source.address, half);
    const auto destination = word_at(outer.destination.address, half);
    hash.add(std::min(source, destination));
    hash.add(std::max(source, destination));
  }
  hash.add(std::uint64_t{outer.network} << 32 | own);
  hash.add(static_cast<std::uint64_t>(outer.tunnel));
  return static_cast<std::uint32_t>(hash.finish());
}

FlowDirection FlowTable::first_direction(const DecodedPacket &packet) const {
  if (packet.direction) {
    return *packet.direction;
  }
  const auto is_local = [&](const Endpoint &end) {
    return std::find(local_addresses_.begin(), local_addresses_.end(), end.address) !=
           local_addresses_.end();
  };
  if (is_local(packet.source)) {
    return FlowDirection::ToRemote;
  }
  if (is_local(packet.destination)) {
    return FlowDirection::ToGuest;
  }
  const std::uint8_t both = tcp_flag::kSyn | tcp_flag::kAck;
  const bool answer = packet.protocol == kTcp && (packet.tcp_flags & both) == both;
  return answer ? FlowDirection::ToGuest : FlowDirection::ToRemote;
}

std::uint32_t FlowTable::start(const DecodedPacket &packet, std::uint32_t hash,
                               FlowDirection direction) {
  const std::uint32_t index = take_index();
  Flow &flow = at(index);
  flow = Flow{};
  const bool outward = direction == FlowDirection::ToRemote;
  flow.tuple = {packet.protocol, outward ? packet.source : packet.destination,
                outward ? packet.destination : packet.source};
  flow.guest_mac = outward ? packet.source_mac : packet.destination_mac;
  flow.remote_mac = outward ? packet.destination_mac : packet.source_mac;
  flow.initiator = direction;
  flow.hash = hash;
  flow.network = packet.network;
  flow.id = next_id_++;
  flow.first_packet_ns = packet.timestamp_ns;
  flow.vlan_count = packet.vlan_count;
  flow.vlans = packet.vlans;
  flow.tunnels = packet.tunnels;
  flow.carrier = packet.carrier;
  flow.syn_seen = opens_connection(packet);
  flow.first_sequence = packet.sequence;
  flow.answered = !flow.syn_seen;
  if (accepts_connection(packet, direction)) { // a SYN that was not seen
    open_by(flow, FlowDirection::ToGuest, packet);
  }
  slots_.add(hash, index + 1);
  ++counters_.started;
  ++counters_.live;
  return index;
}

std::uint32_t FlowTable::take_index() {
  if (counters_.live >= config_.max_flows) {
    evict_one();
  }
  if (free_.empty()) {
    const auto first = static_cast<std::uint32_t>(chunks_.size()) * kChunk;
    chunks_.push_back(std::make_unique<Flow[]>(kChunk));
    for (std::uint32_t i = kChunk; i > 0; --i) {
      free_.push_back(first + i - 1);
    }
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  return index;
}

void FlowTable::end(std::uint32_t index, FlowEnd reason) {
  Flow &flow = at(index);
  listener_.on_flow_end(flow, reason);
  slots_.remove(flow.hash, index + 1);
  flow.id = 0;
  free_.push_back(index);
  --counters_.live;
  ++counters_.ended[static_cast<std::size_t>(reason)];
}

void FlowTable::evict_one() {
  const auto total = static_cast<std::uint32_t>(chunks_.size()) * kChunk;
  std::optional<std::uint32_t> oldest;
  for (std::uint32_t seen = 0, looked = 0; seen < kEvictSample && looked < total; ++looked) {
    hand_ = hand_ + 1 < total ? hand_ + 1 : 0;
    if (at(hand_).id == 0) {
      continue;
    }
    ++seen;
    if (!oldest || at(hand_).last_packet_ns < at(*oldest).last_packet_ns) {
      oldest = hand_;
    }
  }
  if (oldest) {
    end(*oldest, FlowEnd::Evicted);
  }
}

std::int64_t FlowTable::timeout_ns(const Flow &flow) const {
  const FlowTimeouts &timeouts = config_.timeouts;
  const auto chosen = [&] {
    if (flow.tuple.protocol == kTcp) {
      switch (flow.tcp_state) {
      case TcpState::Open:
      case TcpState::Closing:
        return timeouts.tcp_open;
      case TcpState::Closed:
        return timeouts.tcp_closed;
      case TcpState::None:
      case TcpState::Opening:
        return timeouts.tcp_opening;
      }
    }
    return flow.tuple.protocol == kUdp ? timeouts.udp : timeouts.other;
  }();
  return std::chrono::nanoseconds(chosen).count();
}

void FlowTable::expire(std::int64_t now_ns) {
  const auto total = static_cast<std::uint32_t>(chunks_.size()) * kChunk;
  for (std::uint32_t looked = 0; looked < std::min(total, kExpireBudget); ++looked) {
    hand_ = hand_ + 1 < total ? hand_ + 1 : 0;
    const Flow &flow = at(hand_);
    if (flow.id != 0 && now_ns - flow.last_packet_ns > timeout_ns(flow)) {
      end(hand_, flow.tcp_state == TcpState::Closed ? FlowEnd::Closed : FlowEnd::Idle);
    }
  }
}

void FlowTable::end_all() {
  const auto total = static_cast<std::uint32_t>(chunks_.size()) * kChunk;
  for (std::uint32_t index = 0; index < total; ++index) {
    if (at(index).id != 0) {
      end(index, FlowEnd::Shutdown);
    }
  }
}

} // namespace outguard::guest
