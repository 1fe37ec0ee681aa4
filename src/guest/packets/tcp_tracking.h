#pragma once
// What a TCP segment does to its flow: sequence numbers and a light state, enough for time-outs,
// for a reset of both ends, and to tell a connection's beginning from segments that only say they
// are one. Pure functions on a Flow.

#include "guest/packets/flow.h"

namespace outguard::guest {

enum class SynFate : std::uint8_t { Heeded, Ignored, Begins };

/// Does a SYN belong to the flow, or begin another connection between the same ends? Within a
/// connection it changes nothing (RFC 5961, 4), and whoever has the addresses can send one: so it
/// begins another behind a closed one, where nobody has answered yet, or when its answer comes.
[[nodiscard]] SynFate fate_of_syn(Flow &flow, FlowDirection direction, const DecodedPacket &packet);

/// The flow begins with the answer to its SYN.
void open_by(Flow &flow, FlowDirection initiator, const DecodedPacket &answer);

/// For every heeded segment.
void track_tcp(Flow &flow, FlowDirection direction, const DecodedPacket &packet);

/// The guest agrees to a connection that the remote end opens.
[[nodiscard]] bool accepts_connection(const DecodedPacket &packet, FlowDirection direction);

[[nodiscard]] constexpr FlowDirection opposite(FlowDirection direction) {
  return direction == FlowDirection::ToRemote ? FlowDirection::ToGuest : FlowDirection::ToRemote;
}

} // namespace outguard::guest
