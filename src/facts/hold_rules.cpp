#include "facts/hold_rules.h"

#include <algorithm>

namespace outguard {

Refusal HoldRules::refusal_of(IndicatorType type, std::uint8_t confidence,
                              ObservableKind observed) const {
  const auto rule = std::find_if(rules.begin(), rules.end(), [&](const HoldRule &one) {
    return confidence >= one.least_confidence &&
           (one.types.empty() ||
            std::find(one.types.begin(), one.types.end(), type) != one.types.end());
  });
  const auto kind = static_cast<std::size_t>(observed);
  const bool blocks = rule != rules.end() && rule->blocks && kind < by_kind.size();
  return blocks ? by_kind[kind] : Refusal::None;
}

bool HoldRules::is_protected(const IpAddress &remote) const {
  return std::any_of(
      protected_networks.begin(), protected_networks.end(),
      [plain = remote.unmapped()](const IpNetwork &network) { return network.contains(plain); });
}

} // namespace outguard
