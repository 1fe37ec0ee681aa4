#include "sensor/flow_owners.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
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

std::uint64_t FlowOwners::late_ns(std::int64_t packet_ns) const {
  return clock_ != nullptr ? 0 : since_ns(now_ns(), packet_ns);
}

Attribution FlowOwners::ask(const FlowTuple &tuple, std::int64_t packet_ns, std::int64_t began_ns) {
  const guest::StageScope scope(clock_, guest::Stage::Attribution);
  Attribution attribution;
  guest::LinuxGuest *guest = view_.guest();
  if (guest == nullptr) {
    attribution.status = AttributionStatus::Unavailable;
  } else if (has_ports(tuple)) {
    attribution = guest->attribute(tuple, WallTime{std::chrono::nanoseconds(packet_ns)},
                                   WallTime{std::chrono::nanoseconds(began_ns)});
  }
  attribution.latency_ns = late_ns(packet_ns);
  if (clock_ != nullptr && names_a_process(attribution)) {
    // Whoever has these addresses and ports when memory is read need not be who had them then.
    if (attribution.status == AttributionStatus::Exact) {
      attribution.status = AttributionStatus::Cached;
    }
    const auto read_ns = view_.memory_time().time_since_epoch().count();
    attribution.age_ns = since_ns(std::max(read_ns, packet_ns), std::min(read_ns, packet_ns));
  }
  return attribution;
}

Attribution FlowOwners::ask(const guest::PacketPipeline &pipeline, const guest::Flow &flow,
                            std::int64_t packet_ns) {
  auto attribution = ask(flow.tuple, packet_ns, began_ns(flow));
  const guest::Flow *carrier = pipeline.carrier_of(flow);
  if (carrier == nullptr || names_a_process(attribution)) {
    return attribution;
  }
  const FlowNote *note = notes_.find(carrier->user);
  if (note != nullptr && names_a_process(note->attribution)) {
    const auto latency = attribution.latency_ns;
    attribution = note->attribution;
    attribution.latency_ns = latency;
    attribution.of_carrier = true;
  }
  return attribution;
}

bool FlowOwners::answer_opening(const guest::DecodedPacket &packet, bool at_once) {
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

void FlowOwners::on_openings(std::span<const guest::DecodedPacket> packets) {
  in_two_turns(
      packets, [this](const auto &packet) { return answer_opening(packet, true); },
      [this](const auto &packet) { answer_opening(packet, false); });
  while (const auto surplus = openings_.take_surplus(monotonic_now())) {
    notes_.close(surplus->note);
    ++unused_;
  }
}

std::uint64_t FlowOwners::open(const guest::PacketPipeline &pipeline, const guest::Flow &flow) {
  if (flow.syn_seen && flow.initiator == FlowDirection::ToRemote) {
    if (const auto asked = openings_.take({flow.tuple, flow.first_sequence})) {
      notes_.find(asked->note)->attribution.latency_ns =
          since_ns(asked->answered_ns, flow.first_packet_ns);
      ++used_;
      return asked->note;
    }
  }
  const std::uint64_t number = notes_.open();
  if (FlowNote *note = notes_.find(number)) {
    notes_.keep(*note, ask(pipeline, flow, flow.first_packet_ns));
  }
  return number;
}

std::optional<Attribution> FlowOwners::owner_at_once(const FlowTuple &tuple,
                                                     std::int64_t packet_ns) {
  guest::LinuxGuest *guest = view_.guest();
  const WallTime seen{std::chrono::nanoseconds(packet_ns)};
  return guest != nullptr && has_ports(tuple) ? guest->attribute_at_once(tuple, seen, seen)
                                              : std::nullopt;
}

std::optional<Attribution> FlowOwners::owner_in_new_table(const FlowTuple &tuple,
                                                          std::int64_t packet_ns) {
  const auto began = monotonic_now();
  guest::LinuxGuest *guest = view_.guest();
  if (guest == nullptr || !has_ports(tuple) || !for_new_tables_.has_some(began)) {
    return std::nullopt;
  }
  const WallTime seen{std::chrono::nanoseconds(packet_ns)};
  auto found = guest->attribute(tuple, seen, seen);
  for_new_tables_.spend(began, monotonic_now());
  return found;
}

FlowDirection FlowOwners::initiator_of(const guest::Flow &flow) {
  guest::LinuxGuest *guest = view_.guest();
  if (began_ns(flow) != 0 || guest == nullptr) {
    return flow.initiator;
  }
  const FlowTuple anybody{flow.tuple.protocol, flow.tuple.local, {}};
  const WallTime seen{std::chrono::nanoseconds(flow.first_packet_ns)};
  return names_a_process(guest->attribute(anybody, seen)) ? FlowDirection::ToGuest
                                                          : FlowDirection::ToRemote;
}

Attribution FlowOwners::owner_of(const guest::PacketPipeline &pipeline, const guest::Flow &flow) {
  FlowNote *note = notes_.find(flow.user);
  if (note != nullptr && names_a_process(note->attribution)) {
    return note->attribution;
  }
  // The guest may have been unreadable, or the socket not in its tables yet, at the first packet.
  auto attribution = ask(pipeline, flow, flow.last_packet_ns);
  if (note != nullptr) {
    notes_.keep(*note, attribution);
  }
  return attribution;
}

} // namespace outguard::sensor
