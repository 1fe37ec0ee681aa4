#include "guest/packets/pipeline_counters.h"

namespace outguard::guest {

namespace {

template <std::size_t N>
void add(std::array<std::uint64_t, N> &to, const std::array<std::uint64_t, N> &from) {
  for (std::size_t i = 0; i < N; ++i) {
    to[i] += from[i];
  }
}

void add(PacketCounters &to, const PacketCounters &from) {
  to.seen += from.seen;
  to.processed += from.processed;
  add(to.dropped, from.dropped);
}

void add(FlowTableCounters &to, const FlowTableCounters &from) {
  to.started += from.started;
  to.live += from.live;
  to.stray_syns += from.stray_syns;
  add(to.ended, from.ended);
}

void add(StreamCounters &to, const StreamCounters &from) {
  to.live += from.live;
  to.bytes_held += from.bytes_held;
  to.segments_waited += from.segments_waited;
  to.repeated += from.repeated;
  to.gaps += from.gaps;
  to.bytes_missed += from.bytes_missed;
  to.resyncs += from.resyncs;
  to.evicted += from.evicted;
  to.bad_checksums += from.bad_checksums;
  to.untaken += from.untaken;
  to.short_lived += from.short_lived;
  to.urgent += from.urgent;
  to.gave_up += from.gave_up;
}

void add(FragmentCounters &to, const FragmentCounters &from) {
  to.waiting += from.waiting;
  to.packets += from.packets;
  to.bytes_held += from.bytes_held;
  to.joined += from.joined;
}

void add(ProtocolCounters &to, const ProtocolCounters &from) {
  to.quic_hellos += from.quic_hellos;
  to.quic_unknown_versions += from.quic_unknown_versions;
  to.quic_unopened += from.quic_unopened;
  to.quic_evicted += from.quic_evicted;
  to.quic_gave_up += from.quic_gave_up;
  to.http2_refused += from.http2_refused;
  to.http2_let_go += from.http2_let_go;
  to.certificates_lost += from.certificates_lost;
  to.certificate_names_untold += from.certificate_names_untold;
}

} // namespace

PipelineCounters &PipelineCounters::operator+=(const PipelineCounters &other) {
  add(packets, other.packets);
  add(inside, other.inside);
  add(flows, other.flows);
  add(streams, other.streams);
  add(fragments, other.fragments);
  add(protocols, other.protocols);
  observables += other.observables;
  overfull += other.overfull;
  return *this;
}

} // namespace outguard::guest
