#include "policy/condition.h"

#include <algorithm>

#include "policy/host_pattern.h"
#include "policy/path_pattern.h"

namespace outguard::policy {

namespace {

constexpr std::size_t kShortId = 12; // digits that container runtimes show of an id

Truth truth(bool is_so) {
  return is_so ? Truth::Yes : Truth::No;
}

template <class Items, class Test> bool any(const Items &items, Test test) {
  return std::any_of(items.begin(), items.end(), test);
}

bool any_path(const std::vector<std::string> &patterns, std::string_view text) {
  return any(patterns, [&](const std::string &pattern) { return path_matches(pattern, text); });
}

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == text.npos;
}

bool is_container(const std::string &wanted, std::string_view id) {
  if (id.empty()) {
    return wanted == kNone;
  }
  const bool prefix = wanted.size() >= kShortId && is_hex(wanted) && is_hex(id);
  return wanted == kAny || wanted == id || (prefix && id.starts_with(wanted));
}

/// Where it has run another program since, or may have, both count.
Truth exe_holds(const Rule &rule, const ProcessSeen &process) {
  if (!process.exe && !process.earlier_exe) {
    return Truth::Unknown;
  }
  const bool now = process.exe && any_path(rule.exes, process.exe->raw());
  if (!process.earlier_exe) {
    return truth(now);
  }
  const bool earlier = any_path(rule.exes, process.earlier_exe->raw());
  if (!process.exe) {
    return truth(earlier);
  }
  return now == earlier ? truth(now) : Truth::Unknown;
}

Truth ancestor_holds(const Rule &rule, const Attribution *lineage) {
  if (lineage == nullptr) {
    return Truth::Unknown;
  }
  if (any(lineage->ancestors,
          [&](const Ancestor &one) { return any_path(rule.ancestors, one.comm.raw()); })) {
    return Truth::Yes;
  }
  return lineage->ancestors_cut ? Truth::Unknown : Truth::No;
}

Truth container_holds(const Rule &rule, const ProcessSeen &process) {
  if (!process.container) {
    return Truth::Unknown;
  }
  return truth(any(rule.containers, [&](const std::string &wanted) {
    return is_container(wanted, process.container->raw());
  }));
}

Truth flow_holds(const Rule &rule, Condition condition, const FlowFacts &flow) {
  switch (condition) {
  case Condition::Direction:
    return truth(rule.direction == flow.initiator);
  case Condition::Protocol:
    return truth(any(rule.protocols, [&](auto one) { return one == flow.tuple.protocol; }));
  case Condition::Remote: {
    const auto address = flow.tuple.remote.address.unmapped();
    return truth(any(rule.remotes, [&](const auto &one) { return one.contains(address); }));
  }
  case Condition::Port: {
    const auto port = service_port(flow.tuple, flow.initiator);
    return truth(port && any(rule.ports, [&](const auto &one) { return one.contains(*port); }));
  }
  default:
    break;
  }
  if (!flow.host) {
    return Truth::Unknown;
  }
  return truth(!flow.host->empty() && any(rule.hosts, [&](const std::string &pattern) {
    return host_matches(pattern, *flow.host);
  }));
}

Truth process_holds(const Rule &rule, Condition condition, const Subject &subject) {
  const ProcessSeen &process = *subject.process;
  switch (condition) {
  case Condition::Exe:
    return exe_holds(rule, process);
  case Condition::Comm:
    return truth(any_path(rule.comms, process.comm.raw()));
  case Condition::Uid:
    return !process.credentials ? Truth::Unknown : truth(any(rule.uids, [&](const auto &range) {
      return range.contains(process.credentials->uid);
    }));
  case Condition::Container:
    return container_holds(rule, process);
  case Condition::Unit:
    return !process.unit ? Truth::Unknown : truth(any_path(rule.units, process.unit->raw()));
  case Condition::Ancestor:
    return ancestor_holds(rule, subject.lineage);
  default:
    break;
  }
  if (subject.sha256 == nullptr) {
    return Truth::Unknown;
  }
  return truth(any(rule.sha256s, [&](const auto &hash) { return hash == *subject.sha256; }));
}

} // namespace

bool has_ports(std::uint8_t protocol) {
  constexpr std::uint8_t kDccp = 33, kSctp = 132;
  return protocol == static_cast<std::uint8_t>(IpProtocol::Tcp) ||
         protocol == static_cast<std::uint8_t>(IpProtocol::Udp) ||
         protocol == static_cast<std::uint8_t>(IpProtocol::UdpLite) || protocol == kDccp ||
         protocol == kSctp;
}

std::optional<std::uint16_t> service_port(const FlowTuple &tuple, FlowDirection initiator) {
  if (!has_ports(tuple.protocol)) {
    return std::nullopt;
  }
  return initiator == FlowDirection::ToRemote ? tuple.remote.port : tuple.local.port;
}

bool asks_for(const Rule &rule, Condition condition) {
  switch (condition) {
  case Condition::Direction:
    return rule.direction.has_value();
  case Condition::Protocol:
    return !rule.protocols.empty();
  case Condition::Remote:
    return !rule.remotes.empty();
  case Condition::Port:
    return !rule.ports.empty();
  case Condition::Host:
    return !rule.hosts.empty();
  case Condition::Exe:
    return !rule.exes.empty();
  case Condition::Comm:
    return !rule.comms.empty();
  case Condition::ExeHash:
    return !rule.sha256s.empty();
  case Condition::Uid:
    return !rule.uids.empty();
  case Condition::Container:
    return !rule.containers.empty();
  case Condition::Unit:
    return !rule.units.empty();
  case Condition::Ancestor:
    return !rule.ancestors.empty();
  }
  return false;
}

Truth holds(const Rule &rule, Condition condition, const Subject &subject) {
  if (!asks_for(rule, condition)) {
    return Truth::Yes;
  }
  if (condition <= Condition::Host) {
    return flow_holds(rule, condition, *subject.flow);
  }
  return subject.process == nullptr ? Truth::Unknown : process_holds(rule, condition, subject);
}

Missing missing_for(Condition condition, const Subject &subject) {
  if (condition == Condition::Host) {
    return Missing::Host;
  }
  if (subject.process == nullptr) {
    return Missing::Process;
  }
  return condition == Condition::ExeHash ? Missing::Hash : Missing::Detail;
}

} // namespace outguard::policy
