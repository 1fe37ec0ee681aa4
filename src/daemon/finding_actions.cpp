#include "daemon/finding_actions.h"

#include <algorithm>

#include <fmt/format.h>

#include "daemon/action_rules.h"

namespace outguard::daemon {

namespace {

constexpr std::size_t kMostWhy = 300;

IpNetwork host(const IpAddress &address) {
  return {address, static_cast<std::uint8_t>(address.octets().size() * 8)};
}

/// Its flow and what matched, printable.
std::string words_for(const MatchSeen &match) {
  auto words = to_string(NetworkRule(FlowRule{match.flow.tuple}));
  if (match.basis == MatchBasis::Indicator) {
    words += fmt::format(" {} {} ({})", to_string(match.indicator.type),
                         match.indicator.value.printable(), match.indicator.source.printable());
  }
  words.resize(std::min(words.size(), kMostWhy));
  return words;
}

bool is_about_process(ResponseAction action) {
  return action == ResponseAction::Kill || action == ResponseAction::Suspend ||
         action == ResponseAction::Evidence;
}

/// A policy judges each holder of the socket by itself.
bool is_accused(const ProcessIdentity &process, const MatchSeen &match) {
  if (!match.policy) {
    return true;
  }
  const auto &accused = match.policy->accused;
  return std::find(accused.begin(), accused.end(), process) != accused.end();
}

int turn_of(ResponseAction action) {
  return contains(action)                     ? 0
         : action == ResponseAction::Reset    ? 1
         : action == ResponseAction::Evidence ? 2
                                              : 3;
}

} // namespace

IsolationRule isolation_of(IsolationRule rule, const std::vector<IpNetwork> &always_allowed) {
  auto &allowed = rule.allowed;
  allowed.insert(allowed.end(), always_allowed.begin(), always_allowed.end());
  std::sort(allowed.begin(), allowed.end());
  allowed.erase(std::unique(allowed.begin(), allowed.end()), allowed.end());
  return rule;
}

std::vector<ResponseWanted> in_order(std::vector<ResponseWanted> wanted) {
  std::stable_sort(wanted.begin(), wanted.end(), [](const auto &one, const auto &other) {
    return turn_of(one.action) < turn_of(other.action);
  });
  return wanted;
}

std::vector<ActionWanted> actions_of(const std::shared_ptr<const Finding> &finding,
                                     const ResponseWanted &wanted, const std::string &vm,
                                     const std::vector<IpNetwork> &always_allowed) {
  const auto &match = finding->match;
  ActionWanted action;
  action.action = wanted.action;
  action.vm = vm;
  action.ttl = wanted.ttl;
  action.actor = policy_actor(finding->rule);
  action.why = words_for(match);
  action.match = std::shared_ptr<const MatchSeen>(finding, &finding->match);
  if (is_about_process(wanted.action)) {
    std::vector<ActionWanted> all;
    for (const auto &process : match.attribution.processes) {
      if (!is_accused(process.identity, match)) {
        continue;
      }
      action.process = process.identity;
      all.push_back(action);
    }
    return all;
  }
  switch (wanted.action) {
  case ResponseAction::Reset:
  case ResponseAction::BlockFlow:
    action.rule = FlowRule{match.flow.tuple};
    break;
  case ResponseAction::BlockRemote:
    action.rule = RemoteRule{host(match.flow.tuple.remote.address)};
    break;
  case ResponseAction::Isolate:
    action.rule = isolation_of({}, always_allowed);
    break;
  default:
    break;
  }
  return {std::move(action)};
}

ResponseDone done_of(const ActionRecord &record, const Finding &finding) {
  const auto &match = finding.match;
  ResponseDone done{record.wanted.action, record.status, record.reason};
  const auto latency_ns = std::max(record.changed_ns, record.asked_ns) - match.flow.last_packet_ns;
  done.latency_us = static_cast<std::uint64_t>(std::max<std::int64_t>(0, latency_ns) / 1000);
  done.stopped_us = record.stopped_us;
  if (record.stopped_us) {
    done.paused_us = record.paused_us;
  }
  done.action_id = record.id;
  if (record.state == ActionState::Waiting) {
    done.reason = fmt::format("outguard action approve {} {}", record.id, record.plan_hash);
  }
  if (record.wanted.process && match.attribution.processes.size() > 1) {
    done.reason = fmt::format("pid {}{}{}", record.wanted.process->pid,
                              done.reason.empty() ? "" : ": ", done.reason);
  }
  return done;
}

} // namespace outguard::daemon
