#pragma once
// What to do about a match: mode, and rules tried in order. Immutable after start; a reload builds
// a new Policy and swaps it. Which processes must never be ended is the responder's guard, not
// here.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "facts/finding.h"

namespace outguard::detect {

/// Fits a match when every condition holds; an empty condition always holds.
struct Rule {
  std::string name;
  std::vector<IndicatorType> types;      ///< any of these; empty: every type
  std::uint8_t least_confidence = 0;     ///< 0..100
  std::optional<Severity> severity;      ///< nullopt: as detect/severity.h says
  std::vector<ResponseWanted> responses; ///< in this order; empty: alert only

  [[nodiscard]] bool fits(const IndicatorHit &indicator) const;
};

/// Blocks without an end become permanent by mistake, so a block needs a time to live within these.
inline constexpr std::chrono::seconds kLeastBlockTtl{1};
inline constexpr std::chrono::seconds kMostBlockTtl{std::chrono::hours(24) * 30};
inline constexpr std::chrono::seconds kDefaultBlockTtl{3600};

class Policy {
public:
  /// Monitor mode, one rule: alert only.
  Policy() = default;
  /// Refuses (InvalidInput, naming the rule) a rule without a name, a name used twice, a block
  /// without a sane time to live, and an action listed twice.
  /// `firewall_ttl`: of what a VM's own policy (src/policy) blocks or isolates.
  [[nodiscard]] static Result<Policy> make(ResponseMode mode, std::vector<Rule> rules,
                                           std::chrono::seconds firewall_ttl = kDefaultBlockTtl);

  [[nodiscard]] ResponseMode mode() const { return mode_; }
  [[nodiscard]] const std::vector<Rule> &rules() const { return rules_; }
  [[nodiscard]] std::chrono::seconds firewall_ttl() const { return firewall_ttl_; }
  /// The first rule that fits, or the built-in "default" rule (alert only).
  [[nodiscard]] const Rule &rule_for(const IndicatorHit &indicator) const;

private:
  ResponseMode mode_ = ResponseMode::Monitor;
  std::vector<Rule> rules_;
  std::chrono::seconds firewall_ttl_ = kDefaultBlockTtl;
};

} // namespace outguard::detect
