#include "guest/packets/flow_table.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "guest/packets/tcp_tracking.h"

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

template <class Word> Word word_of(const Endpoint &end, std::size_t offset) {
  Word word = 0;
  std::memcpy(&word, reinterpret_cast<const std::uint8_t *>(&end) + offset, sizeof word);
  return word;
}

std::uint64_t difference(const Endpoint &a, const Endpoint &b) {
  static_assert(offsetof(IpAddress, bytes) == 1 && sizeof(IpAddress) == 17);
  static_assert(offsetof(Endpoint, port) == 18 && sizeof(Endpoint) == 20);
  constexpr std::uint32_t kUsed = 0xffff00ff; // a byte between address and port is not
  const auto differ = [&](auto word, std::size_t offset) {
    return word_of<decltype(word)>(a, offset) ^ word_of<decltype(word)>(b, offset);
  };
  return differ(std::uint64_t{}, 0) | differ(std::uint64_t{}, 8) |
         (differ(std::uint32_t{}, 16) & kUsed);
}

bool opens_connection(const DecodedPacket &packet) {
  return packet.protocol == kTcp && (packet.tcp_flags & tcp_flag::kSyn) != 0 &&
         (packet.tcp_flags & tcp_flag::kAck) == 0;
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
  const auto &all = config_.timeouts;
  shortest_timeout_ns_ = std::chrono::nanoseconds(std::min({all.tcp_opening, all.tcp_open,
                                                            all.tcp_closed, all.udp, all.other}))
                             .count();
}

FlowTable::Update FlowTable::update(const DecodedPacket &packet, std::uint32_t hash) {
  FlowDirection direction{};
  Flow *flow = nullptr;
  std::uint32_t place = slots_.find(hash, [&](std::uint32_t candidate) {
    flow = &at(candidate - 1);
    return is_between(flow->tuple, packet, direction) && flow->tuple.protocol == packet.protocol &&
           flow->network == packet.network;
  });
  if (place != 0 && is_idle(*flow, packet.timestamp_ns)) { // expire() has not come by yet
    end_idle(place - 1);
    place = 0;
  }
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
  return {*flow, direction, started, heeded, place};
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

void FlowTable::end_idle(std::uint32_t index) {
  end(index, at(index).tcp_state == TcpState::Closed ? FlowEnd::Closed : FlowEnd::Idle);
}

bool FlowTable::is_idle(const Flow &flow, std::int64_t now_ns) const {
  const std::int64_t idle_ns = now_ns - flow.last_packet_ns;
  return idle_ns > shortest_timeout_ns_ && idle_ns > timeout_ns(flow);
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
    if (is_idle(flow, now_ns) && flow.id != 0) { // in this order: mostly one cache line
      end_idle(hand_);
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
