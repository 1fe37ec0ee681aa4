#include "store/match_json.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <utility>

#include "base/clock.h"
#include "store/community_id.h"

namespace outguard::store {

namespace {

/// Feeds may say anything; what a time stamp cannot hold counts as not given.
Json utc_seconds(std::int64_t seconds) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 1'000'000'000;
  if (seconds <= 0 || seconds >= kMost) {
    return {};
  }
  return rfc3339_timestamp(WallTime(std::chrono::seconds(seconds)));
}

Json utc(std::int64_t nanoseconds) {
  return rfc3339_timestamp(WallTime(std::chrono::nanoseconds(nanoseconds)));
}

/// As Suricata spells it.
std::string eve_protocol(std::uint8_t protocol) {
  if (protocol == static_cast<std::uint8_t>(IpProtocol::Icmpv6)) {
    return "IPv6-ICMP";
  }
  auto name = protocol_name(protocol);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return name;
}

Json text_list(const std::vector<GuestText> &texts) {
  auto list = Json::array();
  for (const auto &item : texts) {
    list.push_back(text(item));
  }
  return list;
}

Json blind_list(std::uint8_t bits) {
  static constexpr std::pair<Blindness, const char *> kNames[] = {
      {Blindness::EncryptedHello, "encrypted_hello"},
      {Blindness::DnsOverHttps, "dns_over_https"},
      {Blindness::DnsOverTls, "dns_over_tls"},
      {Blindness::Unreadable, "unreadable"}};
  auto list = Json::array();
  for (const auto &[bit, name] : kNames) {
    if ((bits & static_cast<std::uint8_t>(bit)) != 0) {
      list.push_back(name);
    }
  }
  return list;
}

/// What the flow came in, and the flow that the wire shows.
Json tunnel(const FlowSeen &flow) {
  Json kinds = Json::array();
  for (const TunnelKind kind : flow.tunnels) {
    kinds.push_back(to_string(kind));
  }
  Json out{{"kinds", std::move(kinds)}, {"depth", flow.tunnels.size()}};
  if (flow.carrier) {
    const bool from_guest = flow.initiator == FlowDirection::ToRemote;
    const auto &source = from_guest ? flow.carrier->local : flow.carrier->remote;
    const auto &destination = from_guest ? flow.carrier->remote : flow.carrier->local;
    out["src_ip"] = source.address.to_string();
    out["src_port"] = source.port;
    out["dest_ip"] = destination.address.to_string();
    out["dest_port"] = destination.port;
    out["proto"] = eve_protocol(flow.carrier->protocol);
  }
  return out;
}

} // namespace

void add_flow(Json &event, const FlowSeen &flow, std::string_view event_type) {
  const bool from_guest = flow.initiator == FlowDirection::ToRemote;
  const auto &source = from_guest ? flow.tuple.local : flow.tuple.remote;
  const auto &destination = from_guest ? flow.tuple.remote : flow.tuple.local;
  const auto protocol = flow.tuple.protocol;
  const bool icmp = protocol == static_cast<std::uint8_t>(IpProtocol::Icmp) ||
                    protocol == static_cast<std::uint8_t>(IpProtocol::Icmpv6);
  event["flow_id"] = flow.flow_id;
  event["in_iface"] = text(flow.interface);
  event["event_type"] = event_type;
  if (!flow.vlans.empty()) {
    event["vlan"] = flow.vlans;
  }
  if (!flow.tunnels.empty()) {
    event["tunnel"] = tunnel(flow);
  }
  event["src_ip"] = source.address.to_string();
  event["src_port"] = icmp ? Json() : Json(source.port);
  event["dest_ip"] = destination.address.to_string();
  event["dest_port"] = icmp ? Json() : Json(destination.port);
  event["proto"] = eve_protocol(protocol);
  if (icmp) {
    event["icmp_type"] = source.port;
    event["icmp_code"] = is_one_way_icmp(protocol, source.port) ? Json(destination.port) : Json();
  }
  event["app_proto"] = text_or_null(flow.app_protocol);
  // What is matched is what the initiator sends, or what it asked for.
  event["direction"] = "to_server";
  event["community_id"] = community_id(protocol, source, destination);
}

Json vm_json(const VmIdentity &identity) {
  return {{"uuid", text_or_null(identity.uuid)},
          {"name", text(identity.name)},
          {"hypervisor", text(identity.hypervisor)},
          {"kernel", identity.kernel.empty() ? Json() : text(identity.kernel)}};
}

Json indicator_json(const MatchSeen &match) {
  if (match.basis == MatchBasis::Beacon || match.basis == MatchBasis::Policy) {
    return {};
  }
  const IndicatorHit &hit = match.indicator;
  const std::string tlp = to_string(hit.tlp);
  return {{"value", text(hit.value)},
          {"type", to_string(hit.type)},
          {"source", text(hit.source)},
          {"line", hit.source_line},
          {"sources", text_list(match.sources)},
          {"source_count", match.source_count},
          {"id", text_or_null(hit.id)},
          {"about", text_or_null(hit.about)},
          {"tags", text_list(hit.tags)},
          {"tlp", text_or_null(tlp)},
          {"confidence", hit.confidence},
          {"severity", hit.severity == 0 ? Json() : Json(hit.severity)},
          {"first_seen", utc_seconds(hit.first_seen)},
          {"last_seen", utc_seconds(hit.last_seen)},
          {"valid_from", utc_seconds(hit.valid_from)},
          {"valid_until", utc_seconds(hit.valid_until)},
          {"matched", {{"kind", to_string(hit.observed)}, {"value", text(hit.observed_value)}}}};
}

Json beacon_json(const BeaconScore &beacon) {
  return {{"score", beacon.score},
          {"destination", text_or_null(beacon.destination)},
          {"contacts", beacon.contacts},
          {"intervals", beacon.intervals},
          {"mean_interval_ms", beacon.mean_interval_ms},
          {"median_interval_ms", beacon.median_interval_ms},
          {"jitter_percent", beacon.jitter_percent},
          {"mean_bytes", beacon.mean_bytes},
          {"size_jitter_percent", beacon.size_jitter_percent},
          {"first", utc(beacon.first_ns)},
          {"last", utc(beacon.last_ns)},
          {"clock_aligned", beacon.clock_aligned}};
}

Json policy_json(const PolicyMatch &policy) {
  static constexpr std::pair<PolicyMissing, const char *> kNames[] = {
      {PolicyMissing::Process, "process"},
      {PolicyMissing::Detail, "detail"},
      {PolicyMissing::Hash, "hash"},
      {PolicyMissing::Host, "host"}};
  auto missing = Json::array();
  for (const auto &[bit, name] : kNames) {
    if ((policy.missing & static_cast<std::uint8_t>(bit)) != 0) {
      missing.push_back(name);
    }
  }
  auto verdict = Json::array();
  for (const auto action : kPolicyActions) {
    if (policy.actions.has(action)) {
      verdict.push_back(to_string(action));
    }
  }
  auto accused = Json::array();
  for (const auto &process : policy.accused) {
    accused.push_back(process.pid);
  }
  return {{"name", text(policy.policy)},   {"rule", text(policy.rule)},
          {"by", to_string(policy.by)},    {"verdict", std::move(verdict)},
          {"missing", std::move(missing)}, {"host", text_or_null(policy.host)},
          {"accused", std::move(accused)}, {"answered", policy.answered},
          {"flows", policy.flows}};
}

Json knocks_json(const Knocks &knocks) {
  return {{"flows", knocks.flows},
          {"ports", knocks.ports},
          {"ports_cut", knocks.ports_cut},
          {"first", utc(knocks.first_ns)},
          {"last", utc(knocks.last_ns)}};
}

Json counts_json(const FlowSeen &flow) {
  const bool from_guest = flow.initiator == FlowDirection::ToRemote;
  return {{"initiator", from_guest ? "guest" : "remote"},
          {"pkts_toserver", from_guest ? flow.packets_to_remote : flow.packets_to_guest},
          {"pkts_toclient", from_guest ? flow.packets_to_guest : flow.packets_to_remote},
          {"bytes_toserver", from_guest ? flow.bytes_to_remote : flow.bytes_to_guest},
          {"bytes_toclient", from_guest ? flow.bytes_to_guest : flow.bytes_to_remote},
          {"start", eve_timestamp(WallTime(std::chrono::nanoseconds(flow.first_packet_ns)))},
          {"blind", blind_list(flow.blind)}};
}

} // namespace outguard::store
