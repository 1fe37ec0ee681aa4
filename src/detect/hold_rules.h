#pragma once
// What of a policy a sensor needs to refuse a packet that it holds: exactly what block_flow would
// have answered, so that a match is refused when and only when its flow would have been blocked.
// Pure.

#include <vector>

#include "detect/policy.h"
#include "facts/hold_rules.h"

namespace outguard::detect {

[[nodiscard]] HoldRules hold_rules(const Policy &policy, std::vector<IpNetwork> protected_networks);

} // namespace outguard::detect
