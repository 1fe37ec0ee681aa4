#include "sensor/taps.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <sys/socket.h>

#include "guest/packets/decode.h"
#include "guest/packets/pcap_file_source.h"
#include "guest/packets/pcapng_writer.h"

namespace outguard::sensor {
namespace {

constexpr std::chrono::milliseconds kTick{1000}; ///< idle flows are looked for this often
/// Batches of one tap before requests and other taps get their turn.
constexpr int kBatchesAtOnce = 64;
constexpr std::size_t kMaxTaps = 32;
constexpr std::uint32_t kFlowsAtOnce = 1024; ///< looked at again between two turns of a tap

/// Those that happened, by name.
void add_drops(std::vector<NamedCount> &out, const std::string &prefix,
               const guest::PacketCounters &packets) {
  for (std::size_t i = 0; i < guest::kDropReasons; ++i) {
    if (packets.dropped[i] != 0) {
      out.push_back(
          {prefix + guest::to_string(static_cast<guest::DropReason>(i)), packets.dropped[i]});
    }
  }
}

} // namespace

bool Taps::is_full() const {
  return taps_.size() >= kMaxTaps;
}

Taps::Tap &Taps::add(std::string interface) {
  interface = GuestText(std::move(interface)).printable(); // it travels in every report
  guest::PipelineConfig config;
  config.interface = interface;
  Tap &tap = taps_.emplace_back();
  tap.interface = std::move(interface);
  tap.pipeline = std::make_unique<guest::PacketPipeline>(std::move(config), sink_);
  share_memory();
  return tap;
}

void Taps::share_memory() {
  for (const Tap &tap : taps_) {
    tap.pipeline->share_memory(taps_.size());
  }
}

guest::Result<void> Taps::open(Fd ring, Fd openings, const PacketRing &layout) {
  auto source = guest::LiveSource::open(std::move(ring), layout);
  if (!source) {
    return tl::unexpected(source.error());
  }
  Tap &tap = add(layout.interface);
  tap.source = std::move(*source);
  tap.openings = std::make_unique<guest::OpeningSource>(std::move(openings));
  return {};
}

void Taps::add_to(std::vector<pollfd> &items) const {
  for (const Tap &tap : taps_) {
    items.push_back({tap.broken ? -1 : tap.source->descriptor(), POLLIN, 0});
  }
  for (const Tap &tap : taps_) {
    items.push_back({tap.openings->descriptor(), POLLIN, 0});
  }
}

void Taps::note_errors(std::span<const pollfd> items) {
  const std::size_t watched = items.size() / 2;
  for (std::size_t i = 0; i < watched; ++i) {
    if ((items[i].revents & POLLERR) != 0) {
      note_error(taps_[i]);
    }
  }
}

/// The device went down, for ever or for a moment: the pending error is taken from the socket, or
/// poll would report it at once each time.
void Taps::note_error(const Tap &tap) {
  int error = 0;
  socklen_t length = sizeof error;
  static_cast<void>(::getsockopt(tap.source->descriptor(), SOL_SOCKET, SO_ERROR, &error, &length));
  ++errors_;
}

/// One batch of each tap, so that a flood of them is no reason to leave the rings alone. The latest
/// first: where the sensor is late, its asker is the most likely one to be there still.
void Taps::look_at_openings() {
  std::vector<guest::DecodedPacket> packets;
  guest::DecodedPacket packet;
  for (Tap &tap : taps_) {
    const auto batch = tap.openings->next().value_or(std::span<const guest::PacketView>{});
    for (std::size_t left = batch.size(); left > 0; --left) {
      if (!guest::decode(batch[left - 1], packet) && !packet.is_fragment) {
        packets.push_back(packet);
      }
    }
  }
  sink_.on_openings(packets);
}

void Taps::pump() {
  look_at_openings();
  for (Tap &tap : taps_) {
    for (int i = 0; i < kBatchesAtOnce && !tap.broken; ++i) {
      if (others_) {
        others_();
      }
      sink_.attach(*tap.pipeline);
      const auto count = tap.pipeline->pump(*tap.source);
      tap.broken = !count;
      if (!count || *count == 0) {
        break;
      }
    }
    look_at_flows(tap);
  }
  sink_.settle(wall_now().time_since_epoch().count());
}

void Taps::take(const std::string &interface, const guest::PacketView &packet) {
  const auto tap = std::ranges::find(taps_, interface, &Tap::interface);
  if (tap != taps_.end()) {
    sink_.attach(*tap->pipeline);
    tap->pipeline->process({&packet, 1});
  }
}

void Taps::look_again() {
  for (Tap &tap : taps_) {
    tap.look_from = 0;
  }
}

bool Taps::has_work() const {
  return std::any_of(taps_.begin(), taps_.end(),
                     [](const Tap &tap) { return tap.look_from.has_value(); });
}

void Taps::look_at_flows(Tap &tap) {
  if (tap.look_from) {
    tap.look_from =
        tap.pipeline->walk_flows(*tap.look_from, kFlowsAtOnce, [&](const guest::Flow &flow) {
          sink_.look_again(*tap.pipeline, flow);
        });
  }
}

void Taps::expire_flows() {
  const auto now = monotonic_now();
  if (now < next_expiry_) {
    return;
  }
  next_expiry_ = now + kTick;
  for (Tap &tap : taps_) {
    sink_.attach(*tap.pipeline);
    tap.pipeline->expire(wall_now().time_since_epoch().count());
  }
}

ReplayDone Taps::replay(std::string name, Fd capture, guest::StageClock &clock,
                        const Progress &progress) {
  guest::PcapFileSource source(std::move(capture));
  guest::PacketPipeline &pipeline = *add(std::move(name)).pipeline;
  sink_.attach(pipeline);
  sink_.replay_with(&clock);
  pipeline.time_with(&clock);
  std::int64_t expired_ns = 0; // by the capture's own clock, which may jump either way
  for (auto count = pipeline.pump(source); count && *count != 0; count = pipeline.pump(source)) {
    progress(source.bytes_read(), source.counters().handed_out);
    const std::int64_t now = pipeline.last_packet_ns();
    if (now < expired_ns || now - expired_ns >= std::chrono::nanoseconds(kTick).count()) {
      pipeline.expire(now);
      expired_ns = now;
    }
  }
  ReplayDone done;
  if (const auto &problem = source.problem()) {
    done.problem = std::string(problem->reason) + " at offset " + std::to_string(problem->offset);
  }
  pipeline.finish();
  sink_.finish();
  progress(source.bytes_read(), source.counters().handed_out);
  sink_.replay_with(nullptr);
  done.counters = this->count();
  const auto times = clock.spent();
  for (std::size_t stage = 0; stage < guest::kStages; ++stage) {
    done.stages.push_back({guest::to_string(static_cast<guest::Stage>(stage)), times[stage]});
    done.elapsed_ns += times[stage];
  }
  taps_.pop_back();
  share_memory();
  return done;
}

std::optional<TcpPosition> Taps::locate(const std::string &interface, std::uint64_t flow_id) const {
  std::optional<TcpPosition> position;
  for (const Tap &tap : taps_) {
    if (tap.interface == interface) {
      if (const auto *flow = sink_.find_reported(*tap.pipeline, flow_id)) {
        position = tap.pipeline->describe(*flow).tcp;
      }
    }
  }
  return position;
}

std::optional<FlowSeen> Taps::find(const FlowTuple &tuple) const {
  constexpr auto kAll = std::numeric_limits<std::uint32_t>::max();
  std::optional<FlowSeen> latest;
  for (const Tap &tap : taps_) {
    static_cast<void>(tap.pipeline->walk_flows(0, kAll, [&](const guest::Flow &flow) {
      const bool later = !latest || flow.last_packet_ns > latest->last_packet_ns;
      if (later && flow.carrier.place == 0 && flow.tuple == tuple) {
        latest = tap.pipeline->describe(flow);
      }
    }));
  }
  return latest;
}

PacketsCopied Taps::copy_packets(std::span<std::uint8_t> out) const {
  struct Kept {
    std::uint32_t tap = 0;
    guest::PacketView packet;
  };
  PacketsCopied copied;
  guest::PcapngWriter writer(out);
  bool good = writer.section();
  std::vector<guest::LiveSource::Kept> held; // what the views are of
  std::vector<Kept> all;
  for (const Tap &tap : taps_) {
    if (tap.source == nullptr) { // a capture's
      continue;
    }
    good = good && writer.interface(tap.interface);
    const auto &kept = held.emplace_back(tap.source->kept());
    for (const auto &bytes : kept.blocks) {
      guest::RingBlock block(bytes);
      for (guest::PacketView packet; block.next(packet);) {
        all.push_back({copied.taps, packet});
      }
    }
    copied.passed_over += kept.passed_over;
    ++copied.taps;
  }
  if (!good) {
    return {};
  }
  std::ranges::stable_sort(all, {}, [](const Kept &one) { return one.packet.timestamp_ns; });
  auto first = all.end();
  for (std::size_t room = out.size() - writer.size(); first != all.begin(); --first) {
    const std::size_t size = guest::PcapngWriter::size_of(std::prev(first)->packet);
    if (size > room) {
      break;
    }
    room -= size;
  }
  copied.left_out = static_cast<std::uint64_t>(first - all.begin());
  for (auto at = first; at != all.end() && writer.packet(at->tap, at->packet); ++at) {
    ++copied.packets;
    copied.truncated += at->packet.original_length > at->packet.bytes.size() ? 1U : 0U;
    copied.last_ns = at->packet.timestamp_ns;
  }
  copied.first_ns = first != all.end() ? first->packet.timestamp_ns : 0;
  copied.bytes = writer.size();
  return copied;
}

CountersSeen Taps::count() const {
  guest::PipelineCounters sum;
  guest::SourceCounters openings;
  for (const Tap &tap : taps_) {
    sum += tap.pipeline->counters();
    if (tap.openings != nullptr) {
      openings.handed_out += tap.openings->counters().handed_out;
      openings.lost_in_kernel += tap.openings->counters().lost_in_kernel;
    }
  }
  CountersSeen total;
  total.seen = sum.packets.seen;
  total.processed = sum.packets.processed;
  add_drops(total.dropped, "", sum.packets);
  const auto &matched = sink_.counts();
  total.other = {{"flows", sum.flows.started},
                 {"flows_live", sum.flows.live},
                 {"flows_stray_syns", sum.flows.stray_syns},
                 {"flows_attributed", matched.flows_attributed},
                 {"flows_unattributed", matched.flows_unattributed},
                 {"openings_seen", openings.handed_out},
                 {"openings_lost", openings.lost_in_kernel},
                 {"openings_used", matched.openings_used},
                 {"openings_unused", matched.openings_unused},
                 {"observables", sum.observables},
                 {"packets_overfull", sum.overfull},
                 {"matches", matched.matches},
                 {"matches_repeated", matched.repeats},
                 {"matches_unreported", matched.unreported},
                 {"matches_allowed", matched.allowed},
                 {"knocks", matched.knocks},
                 {"knocks_early", matched.knocks_early},
                 {"files_looked_at", matched.files_looked_at},
                 {"files_unknown", matched.files_unknown},
                 {"files_passed_by", matched.files_passed_by},
                 {"contacts", sink_.contacts().contacts},
                 {"contacts_forgotten", sink_.contacts().evicted},
                 {"beacons", matched.beacons}};
  total.other.insert(total.other.end(),
                     {{"fragments_waiting", sum.fragments.waiting},
                      {"fragments_joined", sum.fragments.joined},
                      {"fragments_bytes_held", sum.fragments.bytes_held},
                      {"streams_live", sum.streams.live},
                      {"streams_bytes_held", sum.streams.bytes_held},
                      {"streams_segments_waited", sum.streams.segments_waited},
                      {"streams_repeated", sum.streams.repeated},
                      {"streams_gaps", sum.streams.gaps},
                      {"streams_bytes_missed", sum.streams.bytes_missed},
                      {"streams_resyncs", sum.streams.resyncs},
                      {"streams_evicted", sum.streams.evicted},
                      {"streams_bad_checksums", sum.streams.bad_checksums},
                      {"streams_untaken", sum.streams.untaken},
                      {"streams_short_lived", sum.streams.short_lived},
                      {"streams_urgent", sum.streams.urgent},
                      {"streams_gave_up", sum.streams.gave_up},
                      {"quic_hellos", sum.protocols.quic_hellos},
                      {"quic_unknown_versions", sum.protocols.quic_unknown_versions},
                      {"quic_unopened", sum.protocols.quic_unopened},
                      {"quic_evicted", sum.protocols.quic_evicted},
                      {"quic_gave_up", sum.protocols.quic_gave_up},
                      {"http2_refused", sum.protocols.http2_refused},
                      {"http2_let_go", sum.protocols.http2_let_go},
                      {"certificates_lost", sum.protocols.certificates_lost},
                      {"certificate_names_untold", sum.protocols.certificate_names_untold},
                      {"tunnelled_seen", sum.inside.seen},
                      {"tunnelled_processed", sum.inside.processed}});
  add_drops(total.other, "tunnelled_dropped_", sum.inside);
  if (const auto &policy = sink_.policy_flows(); policy.judge().in_force()) {
    const auto &judged = policy.counts();
    total.other.insert(total.other.end(), {{"policy_allowed", judged.allowed},
                                           {"policy_refused", judged.refused},
                                           {"policy_undecided", judged.undecided},
                                           {"policy_repeats", judged.repeats},
                                           {"policy_unenforced", judged.unenforced},
                                           {"policy_hurried", judged.hurried},
                                           {"policy_waiting", policy.waiting()}});
  }
  return total;
}

} // namespace outguard::sensor
