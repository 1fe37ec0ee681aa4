#include "store/action_json.h"

#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "base/clock.h"

namespace outguard::store {

namespace {

constexpr std::size_t kMostText = 4096;

/// The value of a closed list that has this word.
template <class Enum> std::optional<Enum> read_word(const Json &json, Enum last) {
  const auto word = read_text(json);
  for (unsigned i = 0; word && i <= static_cast<unsigned>(last); ++i) {
    if (*word == to_string(static_cast<Enum>(i))) {
      return static_cast<Enum>(i);
    }
  }
  return std::nullopt;
}

template <class Number> std::optional<Number> read_as(const Json &json, std::int64_t least = 0) {
  const auto number = read_number(json);
  return number && *number >= least && *number <= std::numeric_limits<Number>::max()
             ? std::optional(static_cast<Number>(*number))
             : std::nullopt;
}

std::optional<std::uint8_t> read_protocol(const Json &json) {
  const auto name = read_text(json);
  for (const auto one : {IpProtocol::Tcp, IpProtocol::Udp}) {
    if (name == protocol_name(static_cast<std::uint8_t>(one))) {
      return static_cast<std::uint8_t>(one);
    }
  }
  return std::nullopt;
}

std::optional<Endpoint> read_endpoint(const Json &json) {
  const auto words = read_text(json);
  return words ? Endpoint::parse(*words) : std::nullopt;
}

std::optional<IpNetwork> read_network(const Json &json) {
  const auto words = read_text(json);
  return words ? IpNetwork::parse(*words) : std::nullopt;
}

std::optional<std::vector<IpNetwork>> read_networks(const Json &json) {
  if (!json.is_array() || json.size() > kMostAllowed) {
    return std::nullopt;
  }
  std::vector<IpNetwork> networks;
  for (const auto &one : json) {
    if (const auto network = read_network(one)) {
      networks.push_back(*network);
    } else {
      return std::nullopt;
    }
  }
  return networks;
}

struct InJson {
  Json operator()(const FlowRule &rule) const {
    return {{"kind", "flow"},
            {"proto", protocol_name(rule.flow.protocol)},
            {"local", rule.flow.local.to_string()},
            {"remote", rule.flow.remote.to_string()}};
  }
  Json operator()(const RemoteRule &rule) const {
    return {{"kind", "remote"}, {"remote", rule.remote.to_string()}};
  }
  Json operator()(const PortRule &rule) const {
    return {{"kind", "port"},
            {"proto", protocol_name(rule.protocol)},
            {"port", rule.port},
            {"direction", outguard::to_string(rule.direction)}};
  }
  Json operator()(const IsolationRule &rule) const {
    auto allowed = Json::array();
    for (const auto &network : rule.allowed) {
      allowed.push_back(network.to_string());
    }
    return {{"kind", "isolation"}, {"allowed", std::move(allowed)}};
  }
};

Json process_json(const std::optional<ProcessIdentity> &process) {
  return process ? Json({{"pid", process->pid},
                         {"start_boottime_ns", process->start_boottime_ns},
                         {"task", fmt::format("{:#x}", process->task)}})
                 : Json();
}

std::optional<std::uint64_t> read_address(const Json &json) {
  const auto words = read_text(json);
  std::uint64_t value = 0;
  if (!words || !words->starts_with("0x")) {
    return std::nullopt;
  }
  const char *end = words->data() + words->size();
  const auto [stopped, error] = std::from_chars(words->data() + 2, end, value, 16);
  return error == std::errc{} && stopped == end ? std::optional(value) : std::nullopt;
}

std::optional<ProcessIdentity> read_process(const Json &json) {
  ProcessIdentity process;
  MemberReader members(json);
  members.required("pid", process.pid, [](const Json &j) { return read_as<std::int32_t>(j, 1); })
      .required("start_boottime_ns", process.start_boottime_ns,
                [](const Json &j) {
                  const auto number = read_number(j);
                  return number ? std::optional(static_cast<std::uint64_t>(*number)) : std::nullopt;
                })
      .required("task", process.task, read_address);
  return members.good() ? std::optional(process) : std::nullopt;
}

} // namespace

std::optional<std::string> read_text(const Json &json) {
  if (!json.is_string() || json.get_ref<const std::string &>().size() > kMostText) {
    return std::nullopt;
  }
  return json.get<std::string>();
}

std::optional<bool> read_bool(const Json &json) {
  return json.is_boolean() ? std::optional(json.get<bool>()) : std::nullopt;
}

std::optional<std::int64_t> read_number(const Json &json) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (!json.is_number_unsigned() || json.get<std::uint64_t>() > kMost) {
    return std::nullopt;
  }
  return json.get<std::int64_t>();
}

Json time_json(std::int64_t nanoseconds) {
  return nanoseconds == 0
             ? Json()
             : Json(rfc3339_timestamp(WallTime(std::chrono::nanoseconds(nanoseconds))));
}

std::optional<std::int64_t> read_time(const Json &json) {
  const auto time = parse_rfc3339(json.is_string() ? json.get<std::string>() : std::string());
  return time ? std::optional(time->time_since_epoch().count()) : std::nullopt;
}

std::optional<ResponseAction> read_response_action(const Json &json) {
  return read_word(json, ResponseAction::Evidence);
}

Json rule_json(const NetworkRule &rule) {
  return std::visit(InJson{}, rule);
}

std::optional<NetworkRule> read_rule(const Json &json) {
  std::string kind;
  MemberReader members(json);
  members.required("kind", kind, read_text);
  if (kind == "flow") {
    FlowRule rule;
    members.required("proto", rule.flow.protocol, read_protocol)
        .required("local", rule.flow.local, read_endpoint)
        .required("remote", rule.flow.remote, read_endpoint);
    const bool same = rule.flow.local.address.family == rule.flow.remote.address.family;
    return members.good() && same ? std::optional<NetworkRule>(rule) : std::nullopt;
  }
  if (kind == "remote") {
    RemoteRule rule;
    members.required("remote", rule.remote, read_network);
    return members.good() ? std::optional<NetworkRule>(rule) : std::nullopt;
  }
  if (kind == "port") {
    PortRule rule;
    members.required("proto", rule.protocol, read_protocol)
        .required("port", rule.port, [](const Json &j) { return read_as<std::uint16_t>(j, 1); })
        .required("direction", rule.direction,
                  [](const Json &j) { return read_word(j, RuleDirection::Both); });
    return members.good() ? std::optional<NetworkRule>(rule) : std::nullopt;
  }
  if (kind == "isolation") {
    IsolationRule rule;
    members.required("allowed", rule.allowed, read_networks);
    return members.good() ? std::optional<NetworkRule>(rule) : std::nullopt;
  }
  return std::nullopt;
}

Json action_json(const ActionRecord &record) {
  const auto &wanted = record.wanted;
  return {{"id", record.id},
          {"action", to_string(wanted.action)},
          {"vm", text(wanted.vm)},
          {"process", process_json(wanted.process)},
          {"tree", wanted.tree},
          {"rule", wanted.rule ? rule_json(*wanted.rule) : Json()},
          {"ttl_s", wanted.ttl.count() == 0 ? Json() : Json(wanted.ttl.count())},
          {"actor", text(wanted.actor)},
          {"why", text_or_null(wanted.why)},
          {"plan_hash", record.plan_hash},
          {"state", to_string(record.state)},
          {"status", to_string(record.status)},
          {"reason", text_or_null(record.reason)},
          {"asked", time_json(record.asked_ns)},
          {"changed", time_json(record.changed_ns)},
          {"expires", time_json(record.expires_ns)}};
}

std::optional<ActionRecord> read_action(const Json &json) {
  ActionRecord record;
  auto &wanted = record.wanted;
  MemberReader members(json);
  members.required("id", record.id, read_text)
      .required("action", wanted.action, read_response_action)
      .required("vm", wanted.vm, read_text)
      .optional("process", wanted.process, read_process)
      .required("tree", wanted.tree, read_bool)
      .optional("rule", wanted.rule, read_rule)
      .optional("ttl_s", wanted.ttl,
                [](const Json &j) {
                  const auto seconds = read_as<std::uint32_t>(j);
                  return seconds ? std::optional(std::chrono::seconds(*seconds)) : std::nullopt;
                })
      .required("actor", wanted.actor, read_text)
      .optional("why", wanted.why, read_text)
      .required("plan_hash", record.plan_hash, read_text)
      .required("state", record.state,
                [](const Json &j) { return read_word(j, ActionState::Expired); })
      .required("status", record.status,
                [](const Json &j) { return read_word(j, ResponseStatus::Undone); })
      .optional("reason", record.reason, read_text)
      .optional("asked", record.asked_ns, read_time)
      .optional("changed", record.changed_ns, read_time)
      .optional("expires", record.expires_ns, read_time);
  return members.good() ? std::optional(std::move(record)) : std::nullopt;
}

} // namespace outguard::store
