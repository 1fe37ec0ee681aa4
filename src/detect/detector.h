#pragma once
// Turns a match into a Finding by policy, once per (VM, flow, indicator), a beacon once per flow,
// and what the VM's own policy refuses once per flow and rule of it. Owned by the supervisor; one
// thread. Memory is bounded: the oldest remembered matches are forgotten first.

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "detect/policy.h"

namespace outguard::detect {

class Detector {
public:
  struct Counts {
    std::uint64_t findings = 0;
    std::uint64_t repeats = 0;   ///< matches that gave no second finding
    std::uint64_t forgotten = 0; ///< remembered matches dropped at the cap
  };

  /// A repeat of a forgotten match gives a second finding: harmless, so a modest cap is enough.
  static constexpr std::size_t kMostRemembered = 65536;

  explicit Detector(Policy policy, std::size_t most_remembered = kMostRemembered);

  /// nullopt: this flow and indicator already gave a finding; or a policy's refusal that was told
  /// before, and nothing is to be done about it.
  [[nodiscard]] std::optional<Finding> judge(MatchSeen match, const VmIdentity &vm);
  /// A reload: later matches are judged by the new policy; what was seen stays remembered.
  void replace_policy(Policy policy) { policy_ = std::move(policy); }

  [[nodiscard]] const Policy &policy() const { return policy_; }
  [[nodiscard]] const Counts &counts() const { return counts_; }

private:
  /// The indicator by its hash: what a sensor says is kept in bounded space.
  /// The first packet's time tells a flow from one with the same id of an earlier sensor run.
  using Key =
      std::tuple<std::string /*vm*/, std::uint64_t /*flow_id*/, std::int64_t /*first packet*/,
                 MatchBasis, IndicatorType, std::size_t /*value*/>;

  [[nodiscard]] const Rule &rule_for(const MatchSeen &match) const;
  [[nodiscard]] bool remember(Key key);

  Policy policy_;
  std::size_t most_remembered_;
  std::set<Key> seen_;
  std::deque<std::set<Key>::iterator> oldest_first_;
  Counts counts_;
};

} // namespace outguard::detect
