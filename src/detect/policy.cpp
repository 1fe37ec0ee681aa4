#include "detect/policy.h"

#include <algorithm>
#include <set>

#include "facts/action.h"

namespace outguard::detect {

namespace {

/// What is wrong with the rule by itself; empty if nothing.
std::string complaint(const Rule &rule) {
  if (rule.name.empty()) {
    return "a rule has no name";
  }
  std::set<ResponseAction> actions;
  for (const auto &wanted : rule.responses) {
    if (!actions.insert(wanted.action).second) {
      return "rule " + rule.name + ": " + to_string(wanted.action) + " is listed twice";
    }
    const bool sane_ttl = wanted.ttl >= kLeastBlockTtl && wanted.ttl <= kMostBlockTtl;
    if (is_lasting(wanted.action) && !sane_ttl) {
      return "rule " + rule.name + ": " + to_string(wanted.action) +
             " needs a time to live from 1 second to 30 days";
    }
  }
  return {};
}

} // namespace

bool Rule::fits(const IndicatorHit &indicator) const {
  const bool type_fits =
      types.empty() || std::find(types.begin(), types.end(), indicator.type) != types.end();
  return type_fits && indicator.confidence >= least_confidence;
}

Result<Policy> Policy::make(ResponseMode mode, std::vector<Rule> rules,
                            std::chrono::seconds firewall_ttl) {
  if (firewall_ttl < kLeastBlockTtl || firewall_ttl > kMostBlockTtl) {
    return fail(ErrorCode::InvalidInput, "a block needs a time to live from 1 second to 30 days");
  }
  std::set<std::string> names;
  for (const auto &rule : rules) {
    if (auto wrong = complaint(rule); !wrong.empty()) {
      return fail(ErrorCode::InvalidInput, std::move(wrong));
    }
    if (!names.insert(rule.name).second) {
      return fail(ErrorCode::InvalidInput, "two rules are named " + rule.name);
    }
  }
  Policy policy;
  policy.mode_ = mode;
  policy.rules_ = std::move(rules);
  policy.firewall_ttl_ = firewall_ttl;
  return policy;
}

const Rule &Policy::rule_for(const IndicatorHit &indicator) const {
  static const Rule default_rule{"default", {}, 0, std::nullopt, {}};
  const auto found = std::find_if(rules_.begin(), rules_.end(),
                                  [&](const Rule &rule) { return rule.fits(indicator); });
  return found != rules_.end() ? *found : default_rule;
}

} // namespace outguard::detect
