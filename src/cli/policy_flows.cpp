#include "cli/policy_flows.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "policy/condition_words.h"
#include "store/policy_json.h"

namespace outguard::cli {

namespace {

using policy::Truth;

store::JudgedFlow judge(const policy::PolicyFile &file, const policy::FlowFacts &flow) {
  return {file.path, flow, policy::explain(file.policy, flow)};
}

std::string verdict_line(const store::JudgedFlow &judged) {
  return fmt::format("{}: {} by {}: {}", flow_words(judged.flow.tuple, judged.flow.initiator),
                     judged.explanation.verdict.actions.words(), judged.explanation.decided_by,
                     judged.explanation.reason);
}

const char *outcome(const policy::RuleExplained &rule) {
  if (!rule.reached) {
    return "after the rule that decided";
  }
  switch (rule.truth) {
  case Truth::Yes:
    return "fits";
  case Truth::No:
    return "does not fit";
  case Truth::Unknown:
    break;
  }
  return "not known";
}

/// Of a rule that does not fit, what does not; of one that may, what is not known.
std::string why(const policy::RuleExplained &rule) {
  std::string text;
  for (const auto &condition : rule.conditions) {
    if (condition.truth == rule.truth && rule.truth != Truth::Yes) {
      text +=
          fmt::format("{}{} is {}, not {}", text.empty() ? "" : "; ",
                      policy::to_string(condition.condition), condition.observed, condition.wanted);
    }
  }
  return text;
}

bool stays_inside(const Endpoint &end) {
  constexpr std::uint8_t kLoopback = 127;
  const auto address = end.address.unmapped();
  return address.family == IpFamily::V4 ? address.bytes[0] == kLoopback
                                        : address == IpAddress::parse("::1");
}

/// A port that somebody waits at: connections to it are of the other end's making.
using Service = std::tuple<std::uint8_t, std::uint16_t, std::optional<std::uint64_t>>;

Service service_of(const SocketSeen &socket) {
  return {socket.protocol, socket.local.port, socket.netns};
}

/// An unconnected UDP socket may serve, or ask and be gone: what the kernel gave a port of its own
/// choice (net.ipv4.ip_local_port_range) asks.
bool listens(const SocketSeen &socket) {
  constexpr policy::Range<std::uint16_t> kChosenByKernel{32768, 60999};
  const bool udp = socket.protocol == static_cast<std::uint8_t>(IpProtocol::Udp);
  return socket.state == SocketState::Listen ||
         (udp && socket.state == SocketState::Close && socket.local.port != 0 &&
          !kChosenByKernel.contains(socket.local.port));
}

bool is_connected(const SocketSeen &socket) {
  return !socket.remote.address.is_unspecified() && !socket.owners.empty();
}

/// The holders of the socket as processes; one that has ended meanwhile leaves them unknown.
Attribution holders(const SocketSeen &socket,
                    const std::map<ProcessIdentity, const ProcessSeen *> &processes) {
  Attribution attribution;
  attribution.status = AttributionStatus::Exact;
  attribution.ancestors_cut = true; // told for connections only
  std::set<ProcessIdentity> seen;
  for (const auto &owner : socket.owners) {
    const auto process = processes.find(owner.process);
    if (process == processes.end()) {
      attribution.status = AttributionStatus::OwnerGone;
    } else if (seen.insert(owner.process).second) {
      attribution.processes.push_back(*process->second);
    }
  }
  return attribution;
}

} // namespace

std::string flow_words(const FlowTuple &tuple, FlowDirection initiator) {
  const bool ports = policy::has_ports(tuple.protocol);
  const auto end = [&](const Endpoint &of) {
    return ports ? of.to_string() : of.address.to_string();
  };
  return fmt::format("{} {} {} {}", protocol_name(tuple.protocol), end(tuple.local),
                     initiator == FlowDirection::ToRemote ? "->" : "<-", end(tuple.remote));
}

void print_verdict(const Common &common, const policy::PolicyFile &file,
                   const policy::FlowFacts &flow) {
  const auto judged = judge(file, flow);
  print_line(common.format == Format::Json ? store::verdict_json(judged) : verdict_line(judged));
}

void print_explanation(const Common &common, const policy::PolicyFile &file,
                       const policy::FlowFacts &flow) {
  const auto judged = judge(file, flow);
  if (common.format == Format::Json) {
    return print_line(store::policy_explanation_json(judged));
  }
  print_line(verdict_line(judged));
  for (const auto &holder : judged.explanation.holders) {
    print_line("");
    print_line(holder.process);
    Table table({"RULE", "ACTION", "OUTCOME", "WHY"});
    for (const auto &rule : holder.rules) {
      table.add({rule.name, rule.actions.words(), outcome(rule), why(rule)});
    }
    table.print();
  }
}

Result<LiveFlows> live_flows(OpenedTarget &target) {
  const auto sockets = launch::list_sockets(target.sensor);
  if (!sockets) {
    return tl::unexpected(sockets.error());
  }
  const auto processes = launch::list_processes(target.sensor);
  if (!processes) {
    return tl::unexpected(processes.error());
  }
  std::map<ProcessIdentity, const ProcessSeen *> by_identity;
  for (const auto &process : processes->rows) {
    by_identity[process.identity] = &process;
  }
  std::set<Service> services;
  for (const auto &socket : sockets->rows) {
    if (listens(socket)) {
      services.insert(service_of(socket));
    }
  }
  LiveFlows live{{},
                 sockets->completeness.partial ? sockets->completeness : processes->completeness};
  for (const auto &socket : sockets->rows) {
    const bool waits = listens(socket);
    if (socket.raw || (!waits && !is_connected(socket)) || stays_inside(socket.local) ||
        stays_inside(socket.remote)) {
      continue;
    }
    LiveFlow &flow = live.flows.emplace_back();
    flow.tuple = {socket.protocol, socket.local, socket.remote};
    flow.listens = waits;
    const bool serves = waits || services.count(service_of(socket)) != 0;
    flow.initiator = serves ? FlowDirection::ToGuest : FlowDirection::ToRemote;
    flow.attribution = holders(socket, by_identity);
    if (!waits) {
      const auto found = launch::find_owner(target.sensor, flow.tuple);
      if (found && found->attribution.status == AttributionStatus::Exact) {
        flow.attribution = found->attribution; // with the ancestors
      }
    }
  }
  return live;
}

} // namespace outguard::cli
