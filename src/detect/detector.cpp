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
    want.withheld =
        want.action == ResponseAction::Kill ? accused.why_not_process : accused.why_not_connection;
  }
  return wanted;
}

} // namespace

Detector::Detector(Policy policy, std::size_t most_remembered)
    : policy_(std::move(policy)), most_remembered_(std::max<std::size_t>(most_remembered, 1)) {}

std::optional<Finding> Detector::judge(MatchSeen match, const VmIdentity &vm) {
  if (!remember({vm.uuid, match.flow.flow_id, match.flow.first_packet_ns, match.basis,
                 match.indicator.type,
                 std::hash<std::string_view>{}(match.indicator.value.raw())})) {
    ++counts_.repeats;
    return std::nullopt;
  }
  ++counts_.findings;
  const Rule &rule = rule_for(match);
  const Signature &signature = signature_for(match);
  Finding finding;
  finding.severity = reach_of(match) == Reach::Unanswered
                         ? Severity::Low
                         : rule.severity.value_or(severity_of(match));
  finding.wanted = wanted_for(match, rule);
  finding.match = std::move(match);
  finding.vm = vm;
  finding.signature_id = signature.id;
  finding.signature = signature.text;
  finding.category = signature.category;
  finding.rule = rule.name;
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
