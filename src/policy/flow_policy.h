#pragma once
// The policy of one VM: judges a flow by who holds its socket. Immutable; any thread. Every holder
// is judged, and the most drastic verdict is the flow's: a socket shared with an allowed process
// is not allowed for that.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/condition.h"
#include "policy/flow_facts.h"
#include "policy/rule.h"

namespace outguard::policy {

/// What a policy is made of.
struct PolicyParts {
  Actions otherwise;              ///< where no rule fits
  Actions unknown{Action::Alert}; ///< where what is not known decides
  std::vector<Rule> rules;

  bool operator==(const PolicyParts &) const = default;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.otherwise, self.unknown, self.rules);
  }
};

struct Verdict {
  using By = PolicyBy;

  Actions actions;
  By by = By::Default;
  std::size_t rule = 0;     ///< that decided; of Unknown: the first that may fit
  std::size_t process = 0;  ///< of the attribution's, that it is about
  std::uint8_t missing = 0; ///< Missing bits; judge again when that is known
};

/// What is wrong with a rule by itself, in words; empty: nothing.
[[nodiscard]] std::string complaint(const Rule &rule);

class FlowPolicy {
public:
  static constexpr std::size_t kMostRules = 1024;
  static constexpr std::size_t kMostItems = 256; ///< of one list in a rule
  static constexpr std::size_t kMostText = 512;
  /// More holders of one socket than this are one that is not known.
  static constexpr std::size_t kMostHolders = 64;

  /// Allows all.
  FlowPolicy() = default;
  /// InvalidInput, naming the rule: complaint(), a name twice, too many.
  [[nodiscard]] static Result<FlowPolicy> make(PolicyParts parts);

  [[nodiscard]] Verdict judge(const FlowFacts &flow) const;
  /// As if this one of subjects() alone held the socket.
  [[nodiscard]] Verdict judge_one(const FlowFacts &flow, std::size_t index) const;
  /// Some rule asks for it.
  [[nodiscard]] bool asks_for(Condition condition) const;
  /// The name of what decided: a rule's, "default", "unknown".
  [[nodiscard]] std::string decided_by(const Verdict &verdict) const;
  [[nodiscard]] const PolicyParts &parts() const { return parts_; }

private:
  [[nodiscard]] Verdict judge(const Subject &subject) const;

  PolicyParts parts_;
};

/// Those whom a flow is judged by; at least one.
[[nodiscard]] std::size_t subjects(const FlowFacts &flow);
[[nodiscard]] Subject subject(const FlowFacts &flow, std::size_t index);

} // namespace outguard::policy
