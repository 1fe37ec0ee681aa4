#include "sensor/contact_watch.h"

#include "intel/reserved_ranges.h"

namespace outguard::sensor {

namespace {

constexpr std::uint16_t kDnsPort = 53;
constexpr std::uint16_t kNtpPort = 123;

bool is_contact(const guest::Flow &flow) {
  if (flow.initiator != FlowDirection::ToRemote) {
    return false;
  }
  switch (static_cast<IpProtocol>(flow.tuple.protocol)) {
  case IpProtocol::Tcp:
    return flow.syn_seen; // else it began before it was seen, nobody knows when
  case IpProtocol::Udp:
    return true;
  default:
    return false;
  }
}

/// By what it runs; "" where that is not known.
std::string_view process_of(const FlowNote &note) {
  if (note.attribution.processes.empty()) {
    return {};
  }
  const ProcessSeen &process = note.attribution.processes.front();
  return process.exe ? process.exe->raw() : process.comm.raw();
}

/// Monitoring, agents and databases inside talk like clocks, and resolvers and time servers do.
bool is_expected(const guest::Flow &flow) {
  const Endpoint &remote = flow.tuple.remote;
  const auto address = remote.address.unmapped();
  return remote.port == kDnsPort || remote.port == kNtpPort ||
         intel::reserved_reason({address, intel::most_prefix(address.family)},
                                intel::ReservedPolicy::Refuse);
}

} // namespace

void ContactWatch::on_named(const guest::Flow &flow, FlowNote &note, std::string_view name) {
  if (note.named == 0 && is_contact(flow)) {
    note.named = table_.key(process_of(note), name);
    table_.name(note.named, name, flow.first_packet_ns);
  }
}

std::optional<BeaconScore> ContactWatch::on_ended(const guest::Flow &flow, const FlowNote &note,
                                                  Listed listed) {
  if (!is_contact(flow)) {
    return std::nullopt;
  }
  const Contact contact{flow.first_packet_ns, flow.sides[0].bytes + flow.sides[1].bytes};
  const auto address = table_.key(process_of(note), flow.tuple.protocol, flow.tuple.remote);
  bool is_new = table_.add(address, contact);
  if (note.named != 0) {
    is_new = table_.add(note.named, contact);
  }
  if (!is_new || (listed == Listed::No && is_expected(flow))) {
    return std::nullopt;
  }
  return table_.take_finding(note.named != 0 ? note.named : address, flow.first_packet_ns);
}

std::optional<BeaconScore> ContactWatch::score(const guest::Flow &flow,
                                               const FlowNote &note) const {
  if (!is_contact(flow)) {
    return std::nullopt;
  }
  auto best = table_.score(table_.key(process_of(note), flow.tuple.protocol, flow.tuple.remote));
  if (auto named = note.named != 0 ? table_.score(note.named) : std::nullopt;
      named && (!best || named->score >= best->score)) {
    best = std::move(named);
  }
  return best;
}

} // namespace outguard::sensor
