#include "sensor/knock_table.h"

#include <algorithm>
#include <iterator>

namespace outguard::sensor {

namespace {

void count(MatchedFlowEnded &entry, const FlowSeen &flow) {
  Knocks &knocks = *entry.knocks;
  ++knocks.flows;
  ++entry.matches.front().count;
  knocks.first_ns = std::min(knocks.first_ns, flow.first_packet_ns);
  knocks.last_ns = std::max(knocks.last_ns, flow.last_packet_ns);
  entry.matches.front().first_ns = knocks.first_ns;
  entry.matches.front().last_ns = knocks.last_ns;
  const auto port = flow.tuple.local.port;
  if (std::find(knocks.ports.begin(), knocks.ports.end(), port) != knocks.ports.end()) {
    return;
  }
  if (knocks.ports.size() < Knocks::kMostPorts) {
    knocks.ports.push_back(port);
  } else {
    knocks.ports_cut = true;
  }
}

} // namespace

bool was_answered(const guest::Flow &flow) {
  const auto &guest = flow.side(FlowDirection::ToRemote);
  const auto &remote = flow.side(FlowDirection::ToGuest);
  switch (static_cast<IpProtocol>(flow.tuple.protocol)) {
  case IpProtocol::Icmp:
  case IpProtocol::Icmpv6:
    return false;
  case IpProtocol::Tcp: {
    // The third packet of a handshake, which a half-open scan does not send. A reset leaves no
    // sequence number.
    const bool acknowledged = remote.packets >= (flow.syn_seen ? 2U : 1U);
    const bool spoke = guest.packets > 0 && guest.sequence_known;
    return acknowledged && spoke &&
           (flow.tcp_state != guest::TcpState::Closed || guest.packets >= 2);
  }
  default:
    return guest.packets > 0;
  }
}

bool began_outside(const guest::Flow &flow) {
  const auto type = flow.tuple.local.port; // RFC 792, RFC 4443
  switch (static_cast<IpProtocol>(flow.tuple.protocol)) {
  case IpProtocol::Icmp:
    return flow.initiator == FlowDirection::ToGuest || type == 3 || type == 4 || type == 11 ||
           type == 12;
  case IpProtocol::Icmpv6:
    return flow.initiator == FlowDirection::ToGuest || (type >= 1 && type <= 4);
  case IpProtocol::Tcp:
    return flow.initiator == FlowDirection::ToGuest ||
           (!flow.syn_seen && flow.tcp_state == guest::TcpState::Closed);
  default:
    return flow.initiator == FlowDirection::ToGuest;
  }
}

std::optional<Knocks> KnockTable::add(const FlowSeen &flow, const IndicatorHit &hit) {
  const auto known = std::find_if(entries_.begin(), entries_.end(), [&](const Entry &entry) {
    const auto &match = entry.matches.front();
    return entry.flow.tuple.remote.address == flow.tuple.remote.address && match.type == hit.type &&
           match.value == hit.value;
  });
  if (known != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, known);
    count(*known, flow);
    return std::nullopt;
  }
  if (entries_.size() >= kMost) {
    end(std::prev(entries_.end()), EndReason::Forced);
  }
  Entry entry;
  entry.flow = flow;
  entry.matches = {{hit.type, hit.value, 0, 0, 0}};
  entry.knocks.emplace();
  entry.knocks->first_ns = flow.first_packet_ns;
  entry.knocks->last_ns = flow.last_packet_ns;
  count(entry, flow);
  entries_.push_front(std::move(entry));
  return entries_.front().knocks;
}

void KnockTable::end(std::list<Entry>::iterator entry, EndReason reason) {
  entry->reason = reason;
  if (entry->knocks->flows > 1) {
    tell_(std::move(*entry));
  }
  entries_.erase(entry);
}

void KnockTable::expire(std::int64_t now_ns) {
  while (!entries_.empty() && entries_.back().knocks->last_ns < now_ns - kQuiet) {
    end(std::prev(entries_.end()), EndReason::Timeout);
  }
}

void KnockTable::end_all() {
  while (!entries_.empty()) {
    end(entries_.begin(), EndReason::Shutdown);
  }
}

} // namespace outguard::sensor
