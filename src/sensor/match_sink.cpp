#include "sensor/match_sink.h"

#include <algorithm>

#include "base/clock.h"
#include "base/ip_address.h"
#include "sensor/event_size.h"
#include "sensor/two_turns.h"

namespace outguard::sensor {

namespace {

constexpr std::uint64_t since_ns(std::int64_t now, std::int64_t then) {
  return now > then ? static_cast<std::uint64_t>(now - then) : 0;
}

std::int64_t now_ns() {
  return wall_now().time_since_epoch().count();
}

bool has_ports(const FlowTuple &tuple) {
  return tuple.protocol == static_cast<std::uint8_t>(IpProtocol::Tcp) ||
         tuple.protocol == static_cast<std::uint8_t>(IpProtocol::Udp);
}

/// 0 where the sensor came later than the flow.
std::int64_t began_ns(const guest::Flow &flow) {
  const bool is_tcp = flow.tuple.protocol == static_cast<std::uint8_t>(IpProtocol::Tcp);
  return is_tcp && !flow.syn_seen ? 0 : flow.first_packet_ns;
}

bool names_a_process(const Attribution &attribution) {
  return !attribution.processes.empty();
}

} // namespace

Attribution MatchSink::ask_owner(const FlowTuple &tuple, std::int64_t packet_ns,
                                 std::int64_t began_ns) {
  Attribution attribution;
  guest::LinuxGuest *guest = view_.guest();
  if (guest == nullptr) {
    attribution.status = AttributionStatus::Unavailable;
  } else if (has_ports(tuple)) {
    attribution = guest->attribute(tuple, WallTime{std::chrono::nanoseconds(packet_ns)},
                                   WallTime{std::chrono::nanoseconds(began_ns)});
  }
  attribution.latency_ns = since_ns(now_ns(), packet_ns);
  return attribution;
}

bool MatchSink::answer_opening(const guest::DecodedPacket &packet, bool at_once) {
  guest::LinuxGuest *guest = view_.guest();
  const Opening opening{{packet.protocol, packet.source, packet.destination}, packet.sequence};
  if (guest == nullptr || openings_.has(opening)) {
    return true;
  }
  const WallTime seen{std::chrono::nanoseconds(packet.timestamp_ns)};
  auto found = at_once ? guest->attribute_at_once(opening.tuple, seen, seen)
                       : std::optional(guest->attribute(opening.tuple, seen, seen));
  if (!found) {
    return false;
  }
  const std::uint64_t number = notes_.open();
  if (FlowNote *note = notes_.find(number)) {
    notes_.keep(*note, std::move(*found));
    openings_.keep(opening, {number, now_ns(), monotonic_now()});
  }
  return true;
}

void MatchSink::on_openings(std::span<const guest::DecodedPacket> packets) {
  in_two_turns(
      packets, [this](const auto &packet) { return answer_opening(packet, true); },
      [this](const auto &packet) { answer_opening(packet, false); });
  while (const auto surplus = openings_.take_surplus(monotonic_now())) {
    notes_.close(surplus->note);
    ++counts_.openings_unused;
  }
}

std::uint64_t MatchSink::open_note(const guest::Flow &flow) {
  if (flow.syn_seen && flow.initiator == FlowDirection::ToRemote) {
    if (const auto asked = openings_.take({flow.tuple, flow.first_sequence})) {
      notes_.find(asked->note)->attribution.latency_ns =
          since_ns(asked->answered_ns, flow.first_packet_ns);
      ++counts_.openings_used;
      return asked->note;
    }
  }
  const std::uint64_t number = notes_.open();
  if (FlowNote *note = notes_.find(number)) {
    notes_.keep(*note, ask_owner(flow.tuple, flow.first_packet_ns, began_ns(flow)));
  }
  return number;
}

void MatchSink::on_flow_started(guest::Flow &flow) {
  flow.user = open_note(flow);
  if (const FlowNote *note = notes_.find(flow.user)) {
    ++(names_a_process(note->attribution) ? counts_.flows_attributed : counts_.flows_unattributed);
  }
  if (image_ == nullptr) {
    return;
  }
  const auto &remote = flow.tuple.remote;
  image_->match_address(remote.address, [&](intel::IndicatorId id) {
    report(flow, static_cast<std::uint32_t>(id), ObservableKind::RemoteAddress,
           remote.address.to_string());
  });
  if (has_ports(flow.tuple)) {
    image_->match_endpoint(remote, [&](intel::IndicatorId id) {
      report(flow, static_cast<std::uint32_t>(id), ObservableKind::RemoteEndpoint,
             remote.to_string());
    });
  }
}

void MatchSink::on_observable(guest::Flow &flow, const guest::Observable &observable) {
  if (image_ == nullptr) {
    return;
  }
  const auto tell = [&](intel::IndicatorId id) {
    report(flow, static_cast<std::uint32_t>(id), observable.kind, observable.text);
  };
  if (observable.kind == ObservableKind::HttpUrl) {
    image_->match_url(observable.text, tell);
  } else if (observable.form == guest::HostForm::Address) {
    if (const auto address = IpAddress::parse(observable.text)) {
      image_->match_address(*address, tell);
    }
  } else {
    image_->match_domain(observable.text, tell);
  }
}

void MatchSink::on_flow_ended(const guest::Flow &flow, guest::FlowEnd /*reason*/) {
  notes_.close(flow.user);
  reported_.erase({pipeline_, flow.id});
}

const guest::Flow *MatchSink::find_reported(const guest::PacketPipeline &pipeline,
                                            std::uint64_t flow_id) const {
  const auto found = reported_.find({&pipeline, flow_id});
  return found == reported_.end() ? nullptr : found->second;
}

void MatchSink::report(guest::Flow &flow, std::uint32_t indicator, ObservableKind kind,
                       std::string_view observed) {
  FlowNote *note = notes_.find(flow.user);
  if (note != nullptr) {
    if (std::find(note->told.begin(), note->told.end(), indicator) != note->told.end()) {
      ++counts_.repeats;
      return;
    }
    if (note->told.size() >= FlowNotes::kMostTold) {
      ++counts_.unreported;
      return;
    }
    note->told.push_back(indicator);
  }
  auto hit = image_->hit(static_cast<intel::IndicatorId>(indicator));
  if (!hit) {
    return; // a damaged image: nothing true can be said
  }
  hit->observed = kind;
  hit->observed_value = GuestText(std::string(observed));

  MatchSeen match;
  match.flow = pipeline_->describe(flow);
  match.indicator = std::move(*hit);
  // The guest may have been unreadable, or the socket not in its tables yet, at the first packet.
  if (note == nullptr || !names_a_process(note->attribution)) {
    match.attribution = ask_owner(flow.tuple, flow.last_packet_ns, began_ns(flow));
    if (note != nullptr) {
      notes_.keep(*note, match.attribution);
    }
  } else {
    match.attribution = note->attribution;
  }
  guest::LinuxGuest *guest = view_.guest();
  if (guest != nullptr && names_a_process(match.attribution)) {
    guest->bring_up_to_date(match.attribution); // as what it runs will be hashed
  }
  fit_into_event(match.attribution);
  match.match_latency_ns = since_ns(now_ns(), flow.last_packet_ns);
  ++counts_.matches;
  reported_[{pipeline_, flow.id}] = &flow;
  outlet_.publish(std::move(match));
}

} // namespace outguard::sensor
