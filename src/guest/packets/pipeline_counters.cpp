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
  to.gave_up += from.gave_up;
}

void add(FragmentCounters &to, const FragmentCounters &from) {
  to.waiting += from.waiting;
  to.packets += from.packets;
  to.bytes_held += from.bytes_held;
  to.joined += from.joined;
}

} // namespace

PipelineCounters &PipelineCounters::operator+=(const PipelineCounters &other) {
  add(packets, other.packets);
  add(inside, other.inside);
  add(flows, other.flows);
  add(streams, other.streams);
  add(fragments, other.fragments);
  observables += other.observables;
  overfull += other.overfull;
  return *this;
}

} // namespace outguard::guest
