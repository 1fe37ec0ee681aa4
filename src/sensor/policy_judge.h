#pragma once
// The policy of this sensor's VM: one flow's facts in, what is to become of the flow out. Knows no
// packets and keeps no flow; who waits for what is not known yet is the caller. Owned by the
// MatchSink, one thread.

#include <cstdint>
#include <string>

#include "facts/policy_match.h"
#include "policy/flow_policy.h"

namespace outguard::sensor {

enum class PolicyAnswer : std::uint8_t {
  Allow,
  /// Hangs on what is not known: `verdict.missing` says on what, `verdict.actions` what is wanted
  /// where that never comes (perhaps nothing).
  NotYetKnown,
  Refuse, ///< `verdict.actions` says what is wanted
};

class PolicyJudge {
public:
  struct Judged {
    PolicyAnswer answer = PolicyAnswer::Allow;
    policy::Verdict verdict;
  };

  /// From now on; none where the request has no bytes. False: they are malformed, and what was in
  /// force stays.
  [[nodiscard]] bool use(const UsePolicy &request);
  [[nodiscard]] bool in_force() const { return in_force_; }
  /// Another with each use(); never 0 after it.
  [[nodiscard]] std::uint32_t generation() const { return generation_; }
  [[nodiscard]] bool asks_for_names() const { return asks_for_names_; }

  /// Without a policy all is allowed. Allocates nothing.
  [[nodiscard]] Judged judge(const policy::FlowFacts &flow) const;
  /// What is told of a flow that was not allowed.
  [[nodiscard]] PolicyMatch describe(const policy::FlowFacts &flow,
                                     const policy::Verdict &verdict) const;

private:
  bool in_force_ = false;
  bool asks_for_names_ = false;
  std::uint32_t generation_ = 0;
  std::string name_;
  policy::FlowPolicy policy_;
};

} // namespace outguard::sensor
