#include "detect/detector.h"

#include <algorithm>
#include <functional>

#include "detect/accusation.h"
#include "detect/severity.h"
#include "detect/signatures.h"

namespace outguard::detect {

namespace {

std::vector<ResponseWanted> wanted_for(const MatchSeen &match, const Rule &rule) {
  auto wanted = rule.responses;
  const auto accused = accused_by(match);
  for (auto &want : wanted) {
    const bool hits_process =
        want.action == ResponseAction::Kill || want.action == ResponseAction::Suspend;
    want.withheld = hits_process ? accused.why_not_process : accused.why_not_connection;
  }
  return wanted;
}

std::vector<ResponseWanted> wanted_for(const MatchSeen &match, const PolicyActions &actions,
                                       std::chrono::seconds ttl) {
  const auto accused = accused_by(match);
  const bool answered = match.policy->answered;
  const std::string_view nobody =
      match.policy->accused.empty() ? "the policy's verdict is about no process that is known" : "";
  const auto process = accused.why_not_process.empty() ? nobody : accused.why_not_process;
  std::vector<ResponseWanted> wanted;
  const auto add = [&](PolicyAction action, ResponseAction response, std::chrono::seconds time,
                       std::string_view withheld) {
    if (actions.has(action)) {
      wanted.push_back({response, time, std::string(withheld)});
    }
  };
  add(PolicyAction::Block, ResponseAction::BlockFlow, ttl, accused.why_not_connection);
  add(PolicyAction::Isolate, ResponseAction::Isolate, ttl,
      answered ? "" : "the guest let nobody in: whoever knocks isolates nothing");
  add(PolicyAction::Suspend, ResponseAction::Suspend, {}, process);
  add(PolicyAction::Kill, ResponseAction::Kill, {}, process);
  return wanted;
}

/// What tells this match from others of its flow.
std::size_t value_of(const MatchSeen &match) {
  const std::string_view value =
      match.policy ? std::string_view(match.policy->rule) : match.indicator.value.raw();
  return std::hash<std::string_view>{}(value);
}

} // namespace

Detector::Detector(Policy policy, std::size_t most_remembered)
    : policy_(std::move(policy)), most_remembered_(std::max<std::size_t>(most_remembered, 1)) {}

std::optional<Finding> Detector::judge(MatchSeen match, const VmIdentity &vm) {
  if (!remember({vm.uuid, match.flow.flow_id, match.flow.first_packet_ns, match.basis,
                 match.indicator.type, value_of(match)})) {
    ++counts_.repeats;
    return std::nullopt;
  }
  Finding finding;
  if (match.basis == MatchBasis::Policy) {
    if (!match.policy) {
      return std::nullopt; // no sensor of ours says so
    }
    finding.severity = severity_of(match);
    finding.wanted = wanted_for(match, match.policy->actions, policy_.firewall_ttl());
    finding.rule = match.policy->policy + "/" + match.policy->rule;
    if (match.policy->repeat &&
        (finding.wanted.empty() || policy_.mode() == ResponseMode::Monitor)) {
      ++counts_.repeats;
      return std::nullopt;
    }
  } else {
    const Rule &rule = rule_for(match);
    finding.severity = reach_of(match) == Reach::Unanswered
                           ? Severity::Low
                           : rule.severity.value_or(severity_of(match));
    finding.wanted = wanted_for(match, rule);
    finding.rule = rule.name;
  }
  ++counts_.findings;
  const Signature &signature = signature_for(match);
  finding.match = std::move(match);
  finding.vm = vm;
  finding.signature_id = signature.id;
  finding.signature = signature.text;
  finding.category = signature.category;
  finding.mode = policy_.mode();
  return finding;
}

/// Regularity is a hint, and no rule was written for it: it is told, and nothing is done.
const Rule &Detector::rule_for(const MatchSeen &match) const {
  static const Rule told_only{"beacon", {}, 0, std::nullopt, {}};
  return match.basis == MatchBasis::Beacon ? told_only : policy_.rule_for(match.indicator);
}

bool Detector::remember(Key key) {
  const auto [place, added] = seen_.insert(std::move(key));
  if (!added) {
    return false;
  }
  oldest_first_.push_back(place);
  if (oldest_first_.size() > most_remembered_) {
    seen_.erase(oldest_first_.front());
    oldest_first_.pop_front();
    ++counts_.forgotten;
  }
  return true;
}

} // namespace outguard::detect
