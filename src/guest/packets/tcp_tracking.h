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

/// The guest agrees to a connection that the remote end opens.
[[nodiscard]] bool accepts_connection(const DecodedPacket &packet, FlowDirection direction);

[[nodiscard]] constexpr FlowDirection opposite(FlowDirection direction) {
  return direction == FlowDirection::ToRemote ? FlowDirection::ToGuest : FlowDirection::ToRemote;
}

/// SYN, FIN, or a connection that is not open on both sides yet.
void track_state(Flow &flow, FlowDirection direction, const DecodedPacket &packet);

/// What the opener's peer acknowledges before anything is settled says which of the SYNs it got, or
/// that it got none and an older connection goes on: the guest's root can send any number of them.
void settle_opening(Flow &flow, const DecodedPacket &packet);

/// RFC 1982: is `a` after `b`?
constexpr bool after(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b) > 0;
}

/// A reset of the guest must hit what the guest expects exactly (RFC 5961), and the remote end
/// tries to hide that number: so the guest's acknowledgements say it, and between two of them only
/// what follows in order. What the guest itself sends is taken as it comes.
inline void track_sequence(Flow &flow, FlowDirection direction, const DecodedPacket &packet,
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

/// For every heeded segment.
inline void track_tcp(Flow &flow, FlowDirection direction, const DecodedPacket &packet) {
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

} // namespace outguard::guest
