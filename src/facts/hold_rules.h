#pragma once
// What a sensor refuses by itself while it holds a packet at the tap: what the policy would have
// blocked, in a form that says nothing of responses. Made by detect/hold_rules.h. Plain values.

#include <cstdint>
#include <vector>

#include "facts/flow_seen.h"
#include "facts/network_rule.h"

namespace outguard {

enum class Refusal : std::uint8_t {
  None,
  Packet, ///< the packet at hand; its flow is not accused (a question to a name server)
  Flow,
};

/// Fits as detect::Rule does.
struct HoldRule {
  std::vector<IndicatorType> types; ///< any of these; empty: every type
  std::uint8_t least_confidence = 0;
  bool blocks = false;

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.types, self.least_confidence, self.blocks);
  }
};

struct HoldRules {
  std::vector<HoldRule> rules;  ///< the first that fits decides; none: nothing is refused
  std::vector<Refusal> by_kind; ///< by ObservableKind: whom such an observation accuses
  std::vector<IpNetwork> protected_networks; ///< remote ends that nothing is refused of

  [[nodiscard]] Refusal refusal_of(IndicatorType type, std::uint8_t confidence,
                                   ObservableKind observed) const;
  [[nodiscard]] bool is_protected(const IpAddress &remote) const;

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.rules, self.by_kind, self.protected_networks);
  }
};

} // namespace outguard
