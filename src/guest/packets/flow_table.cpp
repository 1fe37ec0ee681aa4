#include "guest/packets/flow_table.h"

#include <algorithm>
#include <cstring>

namespace outguard::guest {

namespace {

constexpr std::uint32_t kFirstSlots = 1024;
constexpr std::uint32_t kExpireBudget = 16384; ///< flows looked at in one expire()
constexpr std::uint32_t kEvictSample = 16;     ///< the longest idle of these goes

constexpr std::uint8_t kTcp = static_cast<std::uint8_t>(IpProtocol::Tcp);
constexpr std::uint8_t kUdp = static_cast<std::uint8_t>(IpProtocol::Udp);

std::uint64_t word_at(const IpAddress &address, std::size_t offset) {
  std::uint64_t word = 0;
  std::memcpy(&word, address.bytes.data() + offset, sizeof word);
  return word;
}

bool same(const Endpoint &a, const Endpoint &b) {
  return word_at(a.address, 0) == word_at(b.address, 0) &&
         word_at(a.address, 8) == word_at(b.address, 8) && a.port == b.port;
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

/// Sequence numbers and a light state: enough for time-outs and for a reset of both ends.
void track_tcp(Flow &flow, FlowDirection direction, const DecodedPacket &packet) {
  const bool syn = (packet.tcp_flags & tcp_flag::kSyn) != 0;
  const bool fin = (packet.tcp_flags & tcp_flag::kFin) != 0;
  FlowSide &mine = flow.side(direction);
  const FlowSide &theirs = flow.side(opposite(direction));

  if ((packet.tcp_flags & tcp_flag::kRst) != 0) {
    flow.tcp_state = TcpState::Closed;
    return; // its sequence number says nothing about what the sender would send next
  }
  const std::uint32_t next =
      packet.sequence + packet.payload_length + (syn ? 1 : 0) + (fin ? 1 : 0);
  track_sequence(flow, direction, packet, next);
  if (syn && !mine.anchored) {
    mine.expected = packet.sequence + 1;
    mine.anchored = true;
  }
  mine.fin = mine.fin || fin;
  if (mine.fin && theirs.fin) {
    flow.tcp_state = TcpState::Closed;
  } else if (mine.fin || theirs.fin) {
    flow.tcp_state = TcpState::Closing;
  } else if (flow.tcp_state != TcpState::Closed) {
    flow.tcp_state = theirs.packets > 0 ? TcpState::Open : TcpState::Opening;
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

/// A new connection between the same ends, or a repeated or late SYN of this one? The remote end
/// alone cannot say: its SYN begins a new flow only behind a closed one, else the guest's answer
/// does.
bool replaces(const Flow &flow, FlowDirection direction, const DecodedPacket &packet) {
  const bool accepts = accepts_connection(packet, direction);
  if (!accepts && !opens_connection(packet)) {
    return false;
  }
  if (accepts && flow.syn_seen && flow.initiator == FlowDirection::ToGuest) {
    return packet.acknowledgment - 1 != flow.first_sequence;
  }
  const bool closed = flow.tcp_state == TcpState::Closed;
  if (flow.side(direction).packets == 0) { // late behind its answer, or both ends open at once
    return closed;
  }
  const bool repeated =
      flow.syn_seen && direction == flow.initiator && packet.sequence == flow.first_sequence;
  // Nobody sends before a SYN, so what this side sent was another connection.
  return !repeated && (direction == FlowDirection::ToRemote || closed);
}

/// Do the packet's ends make it one of the flow's? Where the way it went is known, a frame from the
/// guest with the remote end's address for its source is none: it begins a flow of its own.
bool joins(const FlowTuple &tuple, const DecodedPacket &packet) {
  const bool outward = same(tuple.local, packet.source) && same(tuple.remote, packet.destination);
  const bool inward = same(tuple.local, packet.destination) && same(tuple.remote, packet.source);
  if (!packet.direction) {
    return outward || inward;
  }
  return *packet.direction == FlowDirection::ToRemote ? outward : inward;
}

FlowDirection direction_of(const Flow &flow, const DecodedPacket &packet) {
  if (packet.direction) {
    return *packet.direction; // find() saw to it that the addresses agree
  }
  return same(flow.tuple.local, packet.source) ? FlowDirection::ToRemote : FlowDirection::ToGuest;
}

} // namespace

FlowTable::FlowTable(FlowTableConfig config, std::vector<IpAddress> local_addresses,
                     Listener &listener)
    : config_(config), local_addresses_(std::move(local_addresses)), listener_(listener),
      seed_(config.seed ? *config.seed : random_seed()), slots_(kFirstSlots),
      mask_(kFirstSlots - 1) {
  config_.max_flows = std::clamp(config_.max_flows, 1U, 1U << 30);
}

std::uint32_t FlowTable::hash(const DecodedPacket &packet) const {
  const Endpoint *low = &packet.source;
  const Endpoint *high = &packet.destination;
  KeyedHash hash(seed_);
  if (packet.network != 0) {
    hash.add(packet.network);
  }
  if (low->address.family == IpFamily::V4 && high->address.family == IpFamily::V4) {
    const auto [first, second] = std::minmax(
        {word_at(low->address, 0) << 16 | low->port, word_at(high->address, 0) << 16 | high->port});
    hash.add(first);
    hash.add(second | std::uint64_t{packet.protocol} << 48);
    return static_cast<std::uint32_t>(hash.finish());
  }
  const int order = std::memcmp(low->address.bytes.data(), high->address.bytes.data(), 16);
  if (order > 0 || (order == 0 && low->port > high->port)) {
    std::swap(low, high);
  }
  hash.add(word_at(low->address, 0));
  hash.add(word_at(low->address, 8));
  hash.add(word_at(high->address, 0));
  hash.add(word_at(high->address, 8));
  hash.add(std::uint64_t{low->port} << 48 | std::uint64_t{high->port} << 32 | packet.protocol);
  return static_cast<std::uint32_t>(hash.finish());
}

void FlowTable::prefetch_slot(std::uint32_t hash) const {
  __builtin_prefetch(&slots_[hash & mask_]);
}

void FlowTable::prefetch_flow(std::uint32_t hash) const {
  const Slot &slot = slots_[hash & mask_];
  if (slot.flow != 0) {
    const Flow &flow = at(slot.flow - 1);
    __builtin_prefetch(&flow);
    __builtin_prefetch(&flow.sides, 1);
  }
}

std::optional<std::uint32_t> FlowTable::find(const DecodedPacket &packet,
                                             std::uint32_t hash) const {
  for (std::uint32_t i = hash & mask_; slots_[i].flow != 0; i = (i + 1) & mask_) {
    if (slots_[i].tag != hash) {
      continue;
    }
    const Flow &flow = at(slots_[i].flow - 1);
    if (flow.tuple.protocol == packet.protocol && flow.network == packet.network &&
        flow.tuple.local.address.family == packet.source.address.family &&
        joins(flow.tuple, packet)) {
      return slots_[i].flow - 1;
    }
  }
  return std::nullopt;
}

FlowTable::Update FlowTable::update(const DecodedPacket &packet, std::uint32_t hash) {
  auto index = find(packet, hash);
  if (index && replaces(at(*index), direction_of(at(*index), packet), packet)) {
    end(*index, FlowEnd::Replaced);
    index.reset();
  }
  const bool started = !index;
  if (started) {
    index = start(packet, hash);
  }
  Flow &flow = at(*index);
  const FlowDirection direction = direction_of(flow, packet);
  flow.last_packet_ns = packet.timestamp_ns;
  if (packet.protocol == kTcp) {
    track_tcp(flow, direction, packet);
  }
  FlowSide &side = flow.side(direction);
  side.packets += packet.frames;
  side.bytes += packet.wire_length;
  return {flow, direction, started, {*index + 1, static_cast<std::uint32_t>(flow.id)}};
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

std::uint32_t FlowTable::start(const DecodedPacket &packet, std::uint32_t hash) {
  const std::uint32_t index = take_index();
  Flow &flow = at(index);
  flow = Flow{};
  const bool outward = first_direction(packet) == FlowDirection::ToRemote;
  flow.tuple = {packet.protocol, outward ? packet.source : packet.destination,
                outward ? packet.destination : packet.source};
  flow.guest_mac = outward ? packet.source_mac : packet.destination_mac;
  flow.remote_mac = outward ? packet.destination_mac : packet.source_mac;
  flow.initiator = outward ? FlowDirection::ToRemote : FlowDirection::ToGuest;
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
  if (accepts_connection(packet, outward ? FlowDirection::ToRemote : FlowDirection::ToGuest)) {
    flow.initiator = FlowDirection::ToGuest; // the guest answers a SYN that was not taken for one
    flow.syn_seen = true;
    flow.first_sequence = packet.acknowledgment - 1;
    FlowSide &opener = flow.side(FlowDirection::ToGuest);
    opener.expected = packet.acknowledgment;
    opener.anchored = true;
  }
  place({hash, index + 1});
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
  if (counters_.live * 2 >= slots_.size()) {
    grow();
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  return index;
}

void FlowTable::place(Slot slot) {
  std::uint32_t i = slot.tag & mask_;
  while (slots_[i].flow != 0) {
    i = (i + 1) & mask_;
  }
  slots_[i] = slot;
}

void FlowTable::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  mask_ = static_cast<std::uint32_t>(slots_.size() - 1);
  for (const Slot &slot : old) {
    if (slot.flow != 0) {
      place(slot);
    }
  }
}

/// Linear probing without tombstones: followers that may not stay behind the hole move into it.
void FlowTable::erase_slot(std::uint32_t index) {
  std::uint32_t hole = at(index).hash & mask_;
  while (slots_[hole].flow != index + 1) {
    hole = (hole + 1) & mask_;
  }
  for (std::uint32_t i = (hole + 1) & mask_; slots_[i].flow != 0; i = (i + 1) & mask_) {
    const std::uint32_t home = slots_[i].tag & mask_;
    if (((i - home) & mask_) >= ((i - hole) & mask_)) {
      slots_[hole] = slots_[i];
      hole = i;
    }
  }
  slots_[hole] = {};
}

void FlowTable::end(std::uint32_t index, FlowEnd reason) {
  Flow &flow = at(index);
  listener_.on_flow_end(flow, reason);
  erase_slot(index);
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
