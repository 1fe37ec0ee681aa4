#include "detect/detector.h"

#include <algorithm>
#include <functional>

#include "detect/signatures.h"

namespace outguard::detect {

Detector::Detector(Policy policy, std::size_t most_remembered)
    : policy_(std::move(policy)), most_remembered_(std::max<std::size_t>(most_remembered, 1)) {}

std::optional<Finding> Detector::judge(MatchSeen match, const VmIdentity &vm) {
  if (!remember({vm.uuid, match.flow.flow_id, match.flow.first_packet_ns, match.indicator.type,
                 std::hash<std::string_view>{}(match.indicator.value.raw())})) {
    ++counts_.repeats;
    return std::nullopt;
  }
  ++counts_.findings;
  const Rule &rule = policy_.rule_for(match.indicator);
  const Signature &signature = signature_for(match.indicator.type);
  Finding finding;
  finding.match = std::move(match);
  finding.vm = vm;
  finding.severity = rule.severity;
  finding.signature_id = signature.id;
  finding.signature = signature.text;
  finding.category = signature.category;
  finding.rule = rule.name;
  finding.mode = policy_.mode();
  finding.wanted = rule.responses;
  return finding;
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
