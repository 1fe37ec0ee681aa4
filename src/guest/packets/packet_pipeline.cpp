#include "guest/packets/packet_pipeline.h"

#include <algorithm>

#include "guest/packets/decode.h"
#include "guest/protocols/dns.h"

namespace outguard::guest {

namespace {

constexpr std::uint8_t kTcp = static_cast<std::uint8_t>(IpProtocol::Tcp);
constexpr std::uint8_t kUdp = static_cast<std::uint8_t>(IpProtocol::Udp);
/// Datagrams of an unknown protocol, a direction, before nobody looks any more.
constexpr std::uint64_t kDatagramLooks = 8;
/// Likewise of QUIC: a hello goes on over several, and some come again.
constexpr std::uint64_t kQuicLooks = 32;
/// Packets decoded ahead, so that the table's cache lines are on their way when they are needed.
constexpr std::size_t kAhead = 8;

} // namespace

/// Ties what a parser finds to the flow at hand.
class PacketPipeline::FlowSink final : public ObservableSink {
public:
  FlowSink(PacketPipeline &pipeline, Flow &flow)
      : ObservableSink(pipeline.sink_.wanted()), pipeline_(pipeline), flow_(flow) {
    if (flow.watched) {
      want_all();
    }
  }
  void observe(const Observable &observable) override {
    if (is_full()) {
      return;
    }
    spend(observable.text.size() + kObservableCost);
    if (!wants(observable.kind)) {
      return;
    }
    ++pipeline_.observables_;
    const StageScope scope(pipeline_.clock_, Stage::Match);
    pipeline_.sink_.on_observable(flow_, observable);
    if (flow_.watched) {
      want_all();
    }
  }
  void note_blindness(Blindness why) override {
    flow_.blind = static_cast<std::uint8_t>(flow_.blind | static_cast<std::uint8_t>(why));
  }

private:
  PacketPipeline &pipeline_;
  Flow &flow_;
};

PacketPipeline::PacketPipeline(PipelineConfig config, PipelineSink &sink)
    : config_(std::move(config)), sink_(sink),
      flows_(config_.flows, config_.local_addresses, *this), streams_(config_.streams, inspector_),
      fragments_(config_.fragments, packets_, inside_) {}

PacketPipeline::~PacketPipeline() = default;

Result<std::span<const PacketView>> PacketPipeline::next_batch(PacketSource &source) {
  if (clock_ != nullptr) {
    clock_->next_batch();
  }
  const StageScope scope(clock_, Stage::Read);
  return source.next();
}

Result<std::size_t> PacketPipeline::pump(PacketSource &source) {
  const auto batch = next_batch(source);
  count_lost(source.counters());
  if (!batch) {
    return tl::unexpected(batch.error());
  }
  process(*batch);
  return batch->size();
}

void PacketPipeline::count_lost(const SourceCounters &now) {
  packets_.drop(DropReason::LostInKernel, now.lost_in_kernel - source_seen_.lost_in_kernel);
  packets_.drop(DropReason::BadRecord, now.bad_records - source_seen_.bad_records);
  source_seen_ = now;
}

void PacketPipeline::process(std::span<const PacketView> packets) {
  const StageScope scope(clock_, Stage::Packets);
  if (!packets.empty()) {
    last_packet_ns_ = packets.back().timestamp_ns;
  }
  struct Ahead {
    DecodedPacket packet;
    std::uint32_t hash = 0;
  };
  std::array<Ahead, kAhead> ahead;
  while (!packets.empty()) {
    const auto group = packets.first(std::min(kAhead, packets.size()));
    packets = packets.subspan(group.size());
    std::size_t count = 0;
    for (const PacketView &view : group) {
      Ahead &next = ahead[count];
      if (const auto drop = decode(view, next.packet)) {
        packets_.drop(*drop);
        continue;
      }
      next.hash = flows_.hash(next.packet);
      flows_.prefetch_slot(next.hash);
      ++count;
    }
    for (const Ahead &next : std::span(ahead).first(count)) {
      flows_.prefetch_flow(next.hash);
    }
    for (const Ahead &next : std::span(ahead).first(count)) {
      if (next.packet.is_fragment) {
        take_fragment(next.packet);
      } else {
        process_decoded(next.packet, next.hash);
      }
    }
  }
}

PacketCounters &PacketPipeline::account_of(const DecodedPacket &packet) {
  return packet.carrier.place == 0 ? packets_ : inside_;
}

void PacketPipeline::process_decoded(const DecodedPacket &packet, std::uint32_t hash) {
  account_of(packet).process(packet.frames);
  const auto update = flows_.update(packet, hash);
  Flow &flow = update.flow;
  if (update.started) {
    const StageScope scope(clock_, Stage::Match);
    sink_.on_flow_started(flow);
  }
  if (packet.tunnel != TunnelKind::None && open_tunnel(packet, update.reference())) {
    return; // `flow` may have made room for a flow inside
  }
  const StageScope scope(clock_, Stage::Protocols);
  FlowSink sink(*this, flow);
  if (packet.protocol == kTcp && update.heeded) {
    streams_.segment(flow, update.direction, packet, sink);
  } else if (packet.protocol == kUdp) {
    datagram(flow, update.direction, packet, sink);
  }
  overfull_ += static_cast<std::uint64_t>(sink.passed_over());
}

/// False: nothing came of it.
bool PacketPipeline::open_tunnel(const DecodedPacket &outer, FlowReference carrier) {
  DecodedPacket inner;
  if (const auto drop = decode_inner(outer, inner)) {
    inside_.drop(*drop);
    return false;
  }
  inner.carrier = carrier;
  inner.network = flows_.network_inside(outer, inner.network);
  if (inner.is_fragment) {
    take_fragment(inner);
  } else {
    process_decoded(inner, flows_.hash(inner));
  }
  return true;
}

/// The flow begins with the first part, as far as its ports are there: the rest may never come, and
/// who owns the socket is to be asked at once. What the packet carries is looked at when it is
/// whole.
void PacketPipeline::take_fragment(const DecodedPacket &fragment) {
  PacketCounters &account = account_of(fragment);
  DecodedPacket opening;
  const bool opens = fragment.fragment_offset == 0 &&
                     !decode_joined(fragment, fragment.protocol, fragment.payload, opening);
  opening.tunnel = TunnelKind::None;
  const bool is_cut = fragment.payload.size() < fragment.payload_length;
  if (!is_cut || opening.protocol == kTcp) {
    opening.payload = {};
    opening.payload_length = 0;
  }
  if (is_cut) { // by the capture: what there is of a datagram is all that there will be
    if (opens) {
      process_decoded(opening, flows_.hash(opening));
    } else {
      account.drop(DropReason::FragmentBad);
    }
    return;
  }
  const auto taken = fragments_.add(fragment, opens);
  if (taken.waits && opens) {
    process_decoded(opening, flows_.hash(opening));
  }
  if (!taken.joined) {
    return;
  }
  DecodedPacket whole;
  if (const auto drop =
          decode_joined(fragment, taken.joined->protocol, taken.joined->bytes, whole)) {
    account.drop(*drop, taken.joined->frames);
    return;
  }
  whole.frames = taken.joined->frames;
  whole.wire_length = taken.joined->wire_length;
  process_decoded(whole, flows_.hash(whole));
}

void PacketPipeline::datagram(Flow &flow, FlowDirection direction, const DecodedPacket &packet,
                              ObservableSink &sink) {
  FlowSide &side = flow.side(direction);
  const bool from_initiator = direction == flow.initiator;
  // Neither noise nor a first connection hides another one of QUIC between the same ends, or DNS.
  const bool let_go = side.inspected;
  const bool as_dns = begins_as_dns(packet.payload);
  if (packet.payload.empty() ||
      (let_go && !as_dns && !(from_initiator && has_known_quic_version(packet.payload)))) {
    return;
  }
  FlowSide &other = flow.sides[1 - static_cast<std::size_t>(direction)];
  const bool dns_port = is_dns_port(packet.source.port) || is_dns_port(packet.destination.port);
  const bool again = let_go && flow.app_protocol == AppProtocol::Quic;
  const QuicDatagram quic{packet.payload, flow.id, from_initiator, packet.destination.port, again};
  if (const QuicLook look = inspector_.quic(quic, sink); look != QuicLook::NotQuic) {
    flow.app_protocol = AppProtocol::Quic;
    side.inspected = !dns_port && (let_go || look == QuicLook::Done || side.packets >= kQuicLooks);
    other.inspected = !dns_port && (other.inspected || look == QuicLook::Done);
    return;
  }
  if ((let_go || flow.app_protocol == AppProtocol::Quic) && !as_dns && !dns_port) {
    side.inspected = let_go || side.packets >= kQuicLooks; // encrypted
    return;
  }
  const AppProtocol found = inspector_.datagram(packet.payload, packet.source.port,
                                                packet.destination.port, other.packets == 0, sink);
  if (found != AppProtocol::None) {
    flow.app_protocol = found;
  }
  side.inspected =
      found == AppProtocol::None && !dns_port &&
      (let_go || (flow.app_protocol == AppProtocol::None && side.packets >= kDatagramLooks));
}

void PacketPipeline::on_flow_end(Flow &flow, FlowEnd reason) {
  streams_.release(flow);
  sink_.on_flow_ended(flow, reason);
}

void PacketPipeline::expire(std::int64_t now_ns) {
  fragments_.expire(now_ns);
  flows_.expire(now_ns);
}

void PacketPipeline::finish() {
  fragments_.give_up_all();
  flows_.end_all();
}

void PacketPipeline::share_memory(std::size_t taps) {
  streams_.limit(config_.streams.total_bytes / taps);
  fragments_.limit(config_.fragments.total_bytes / taps);
}

PipelineCounters PacketPipeline::counters() const {
  PipelineCounters all;
  all.packets = packets_;
  all.inside = inside_;
  all.flows = flows_.counters();
  all.streams = streams_.counters();
  all.fragments = fragments_.counters();
  const auto &quic = inspector_.quic_counts();
  all.protocols = {quic.hellos,
                   quic.unknown_versions,
                   quic.unopened,
                   quic.evicted,
                   quic.gave_up,
                   inspector_.http2_refused(),
                   inspector_.http2_let_go(),
                   inspector_.certificates_lost(),
                   inspector_.certificate_names_untold()};
  all.observables = observables_;
  all.overfull = overfull_;
  return all;
}

FlowSeen PacketPipeline::describe(const Flow &flow) const {
  const FlowSide &out = flow.side(FlowDirection::ToRemote);
  const FlowSide &in = flow.side(FlowDirection::ToGuest);
  FlowSeen seen;
  seen.flow_id = flow.id;
  seen.tuple = flow.tuple;
  seen.initiator = flow.initiator;
  seen.interface = config_.interface;
  seen.vlans.assign(flow.vlans.begin(), flow.vlans.begin() + flow.vlan_count);
  seen.tunnels = flow.tunnels.kinds();
  const Flow *carrier = carrier_of(flow);
  for (std::size_t i = 0; carrier != nullptr && i < kMaxTunnels; ++i) {
    seen.carrier = carrier->tuple;
    carrier = carrier_of(*carrier);
  }
  seen.guest_mac = flow.guest_mac;
  seen.remote_mac = flow.remote_mac;
  seen.first_packet_ns = flow.first_packet_ns;
  seen.last_packet_ns = flow.last_packet_ns;
  seen.packets_to_remote = out.packets;
  seen.packets_to_guest = in.packets;
  seen.bytes_to_remote = out.bytes;
  seen.bytes_to_guest = in.bytes;
  seen.app_protocol = to_string(flow.app_protocol);
  seen.blind = flow.blind;
  seen.tcp = {out.next_sequence, in.next_sequence, out.sequence_known, in.sequence_known};
  return seen;
}

} // namespace outguard::guest
