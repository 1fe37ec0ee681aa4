#include "detect/hold_rules.h"

#include <algorithm>
#include <utility>

#include "detect/accusation.h"

namespace outguard::detect {

namespace {

/// One packet may be kept from a server that is not accused, if who sent it is.
Refusal refusal_of(ObservableKind kind) {
  const auto accused = accused_by(kind);
  if (accused.why_not_connection.empty()) {
    return Refusal::Flow;
  }
  return accused.why_not_process.empty() ? Refusal::Packet : Refusal::None;
}

} // namespace

HoldRules hold_rules(const Policy &policy, std::vector<IpNetwork> protected_networks) {
  HoldRules hold;
  for (const Rule &rule : policy.rules()) {
    const bool blocks =
        std::any_of(rule.responses.begin(), rule.responses.end(),
                    [](const auto &wanted) { return wanted.action == ResponseAction::BlockFlow; });
    hold.rules.push_back({rule.types, rule.least_confidence, blocks});
  }
  for (std::size_t kind = 0; kind < kObservableKinds; ++kind) {
    hold.by_kind.push_back(refusal_of(static_cast<ObservableKind>(kind)));
  }
  hold.protected_networks = std::move(protected_networks);
  return hold;
}

} // namespace outguard::detect
