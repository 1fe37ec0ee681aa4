#include "guest/packets/tcp_tracking.h"

namespace outguard::guest {

namespace {

constexpr std::uint8_t kTcp = static_cast<std::uint8_t>(IpProtocol::Tcp);

SynOffer offer_of(FlowDirection direction) {
  return direction == FlowDirection::ToRemote ? SynOffer::Guest : SynOffer::Remote;
}

} // namespace

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

bool accepts_connection(const DecodedPacket &packet, FlowDirection direction) {
  constexpr std::uint8_t kBoth = tcp_flag::kSyn | tcp_flag::kAck;
  return packet.protocol == kTcp && direction == FlowDirection::ToRemote &&
         (packet.tcp_flags & kBoth) == kBoth;
}

void open_by(Flow &flow, FlowDirection initiator, const DecodedPacket &answer) {
  flow.initiator = initiator;
  flow.syn_seen = true;
  flow.answered = true;
  flow.first_sequence = answer.acknowledgment - 1;
  FlowSide &opener = flow.side(initiator);
  opener.expected = answer.acknowledgment;
  opener.anchored = true;
}

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

} // namespace outguard::guest
