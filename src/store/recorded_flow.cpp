#include "store/recorded_flow.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include <nlohmann/json.hpp>

namespace outguard::store {

namespace {

using Json = nlohmann::json;

/// nullptr: not there.
const Json *find(const Json &object, const char *pointer) {
  const Json::json_pointer path(pointer);
  return object.is_structured() && object.contains(path) ? &object[path] : nullptr;
}

std::optional<std::string> text_at(const Json &object, const char *pointer) {
  const Json *value = find(object, pointer);
  return value != nullptr && value->is_string() ? std::optional(value->get<std::string>())
                                                : std::nullopt;
}

std::optional<GuestText> guest_text_at(const Json &object, const char *pointer) {
  auto text = text_at(object, pointer);
  return text ? std::optional(GuestText(std::move(*text))) : std::nullopt;
}

template <class Number> std::optional<Number> number_at(const Json &object, const char *pointer) {
  const Json *value = find(object, pointer);
  if (value == nullptr || !value->is_number_unsigned()) {
    return std::nullopt;
  }
  const auto number = value->get<std::uint64_t>();
  return number <= static_cast<std::uint64_t>(std::numeric_limits<Number>::max())
             ? std::optional(static_cast<Number>(number))
             : std::nullopt;
}

/// As Suricata spells it, or a number.
std::optional<std::uint8_t> protocol_at(const Json &event) {
  auto word = text_at(event, "/proto").value_or("");
  std::transform(word.begin(), word.end(), word.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  word = word == "ipv6-icmp" ? "icmpv6" : word;
  for (unsigned number = 0; number <= 255; ++number) {
    if (protocol_name(static_cast<std::uint8_t>(number)) == word) {
      return static_cast<std::uint8_t>(number);
    }
  }
  return std::nullopt;
}

std::optional<Endpoint> end_at(const Json &event, const char *address, const char *port) {
  const auto parsed = IpAddress::parse(text_at(event, address).value_or(""));
  return parsed
             ? std::optional(Endpoint{*parsed, number_at<std::uint16_t>(event, port).value_or(0)})
             : std::nullopt;
}

ProcessSeen process_of(const Json &object) {
  ProcessSeen seen;
  seen.identity.pid = number_at<std::int32_t>(object, "/pid").value_or(0);
  seen.comm = guest_text_at(object, "/comm").value_or(GuestText());
  seen.exe = guest_text_at(object, "/exe");
  seen.earlier_exe = guest_text_at(object, "/earlier_exe");
  seen.container = guest_text_at(object, "/container");
  seen.unit = guest_text_at(object, "/unit");
  if (const auto uid = number_at<std::uint32_t>(object, "/uid")) {
    seen.credentials.emplace().uid = *uid;
  }
  return seen;
}

AttributionStatus status_of(std::string_view word) {
  for (const auto status :
       {AttributionStatus::Exact, AttributionStatus::Listener, AttributionStatus::Cached,
        AttributionStatus::OwnerGone, AttributionStatus::NotFound}) {
    if (word == to_string(status)) {
      return status;
    }
  }
  return AttributionStatus::Unavailable;
}

bool is_true(const Json &object, const char *pointer) {
  const Json *value = find(object, pointer);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

std::optional<Attribution> attribution_of(const Json &event) {
  const auto status = text_at(event, "/attribution/status");
  if (!status) {
    return std::nullopt;
  }
  Attribution attribution;
  attribution.status = status_of(*status);
  attribution.ambiguous = is_true(event, "/attribution/ambiguous");
  const Json *first = find(event, "/process"), *all = find(event, "/processes");
  if (all != nullptr && all->is_array()) {
    for (const auto &process : *all) {
      if (attribution.processes.size() <= RecordedFlow::kMostProcesses) {
        attribution.processes.push_back(process_of(process));
      }
    }
  } else if (first != nullptr && first->is_object()) {
    attribution.processes.push_back(process_of(*first));
  }
  attribution.ancestors_cut = is_true(event, "/process/ancestors_cut");
  const Json *ancestors = find(event, "/process/ancestors");
  if (ancestors == nullptr || !ancestors->is_array()) {
    attribution.ancestors_cut = true;
    return attribution;
  }
  for (const auto &ancestor : *ancestors) {
    if (attribution.ancestors.size() >= RecordedFlow::kMostAncestors) {
      attribution.ancestors_cut = true;
      break;
    }
    attribution.ancestors.push_back({number_at<std::int32_t>(ancestor, "/pid").value_or(0),
                                     guest_text_at(ancestor, "/comm").value_or(GuestText())});
  }
  return attribution;
}

std::optional<std::array<std::uint8_t, 32>> hash_of(const Json &event) {
  const auto digits = text_at(event, "/process/sha256").value_or("");
  std::array<std::uint8_t, 32> hash{};
  if (digits.size() != 2 * hash.size()) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < hash.size(); ++i) {
    const char *at = digits.data() + 2 * i;
    if (std::from_chars(at, at + 2, hash[i], 16).ptr != at + 2) {
      return std::nullopt;
    }
  }
  return hash;
}

std::optional<std::string> host_of(const Json &event) {
  if (auto judged = text_at(event, "/policy/host"); judged && !judged->empty()) {
    return judged;
  }
  const auto kind = text_at(event, "/alert/context/indicator/matched/kind").value_or("");
  if (kind == to_string(ObservableKind::TlsServerName) ||
      kind == to_string(ObservableKind::HttpHost) || kind == to_string(ObservableKind::DnsName)) {
    return text_at(event, "/alert/context/indicator/matched/value");
  }
  for (const char *observed :
       {"/observed/tls-sni/0", "/observed/http-host/0", "/observed/dns-name/0"}) {
    if (auto host = text_at(event, observed)) {
      return host;
    }
  }
  return std::nullopt;
}

} // namespace

std::optional<RecordedFlow> recorded_flow(std::string_view json, std::string_view flow_id) {
  if (json.size() > RecordedFlow::kMostBytes) {
    return std::nullopt;
  }
  const auto event = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  const auto id = number_at<std::uint64_t>(event, "/flow_id");
  if (!flow_id.empty() && (!id || std::to_string(*id) != flow_id)) {
    return std::nullopt;
  }
  const auto protocol = protocol_at(event);
  const bool icmp = find(event, "/icmp_type") != nullptr;
  const auto source = end_at(event, "/src_ip", icmp ? "/icmp_type" : "/src_port");
  const auto destination = end_at(event, "/dest_ip", icmp ? "/icmp_code" : "/dest_port");
  const auto initiator = text_at(event, "/flow/initiator").value_or("");
  if (!protocol || !source || !destination || (initiator != "guest" && initiator != "remote")) {
    return std::nullopt;
  }
  RecordedFlow flow;
  const bool from_guest = initiator == "guest";
  flow.vm = guest_text_at(event, "/vm/name").value_or(GuestText());
  flow.uuid = text_at(event, "/vm/uuid").value_or("");
  flow.tuple = {*protocol, from_guest ? *source : *destination,
                from_guest ? *destination : *source};
  flow.initiator = from_guest ? FlowDirection::ToRemote : FlowDirection::ToGuest;
  flow.attribution = attribution_of(event);
  flow.sha256 = hash_of(event);
  flow.host = host_of(event);
  return flow;
}

} // namespace outguard::store
