#pragma once
// Why a policy judges a flow as it does: every holder against every rule, and what failed. For
// people; escaped. Pure.

#include <string>
#include <vector>

#include "policy/condition.h"
#include "policy/flow_policy.h"

namespace outguard::policy {

struct ConditionExplained {
  Condition condition = Condition::Direction;
  Truth truth = Truth::Yes;
  std::string wanted, observed;
};

struct RuleExplained {
  std::string name;
  Actions actions;
  Truth truth = Truth::Yes;
  bool reached = true;                        ///< no rule before it decided
  std::vector<ConditionExplained> conditions; ///< those that the rule has
};

struct HolderExplained {
  std::string process; ///< "pid 12 curl (/usr/bin/curl)", or why nobody is named
  std::vector<RuleExplained> rules;
};

struct Explanation {
  Verdict verdict;
  std::string decided_by; ///< as FlowPolicy::decided_by()
  std::string reason;
  std::vector<HolderExplained> holders;
};

[[nodiscard]] Explanation explain(const FlowPolicy &policy, const FlowFacts &flow);
/// The verdict in one sentence; part of the above.
[[nodiscard]] std::string reason(const FlowPolicy &policy, const FlowFacts &flow,
                                 const Verdict &verdict);

} // namespace outguard::policy
