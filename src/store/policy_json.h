#pragma once
// What a policy says of a flow, as JSON rows. Pure functions, any thread.

#include <string>

#include "policy/explanation.h"

namespace outguard::store {

struct JudgedFlow {
  std::string file; ///< of the policy
  policy::FlowFacts flow;
  policy::Explanation explanation;
};

/// A row of `outguard policy test -o json`.
[[nodiscard]] std::string verdict_json(const JudgedFlow &judged);
/// A row of `outguard policy explain -o json`: the same, and every holder against every rule.
[[nodiscard]] std::string policy_explanation_json(const JudgedFlow &judged);

} // namespace outguard::store
