#pragma once
// What a policy (src/policy) wants done about a flow, how a sensor is handed one, and what it says
// of a flow that the policy does not allow.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "facts/guest_text.h"
#include "facts/process_seen.h"

namespace outguard {

/// Each is a bit, the more drastic the higher. Whatever is not allowed raises an alert.
enum class PolicyAction : std::uint8_t {
  Alert = 1,
  Block = 2,   ///< drop the flow
  Suspend = 4, ///< stop the process
  Kill = 8,    ///< end the process
  Isolate = 16 ///< drop all of the VM's traffic but an allowlist
};
inline constexpr std::array kPolicyActions{PolicyAction::Alert, PolicyAction::Block,
                                           PolicyAction::Suspend, PolicyAction::Kill,
                                           PolicyAction::Isolate};
/// "alert", "block", "suspend", "kill", "isolate".
[[nodiscard]] const char *to_string(PolicyAction action);

/// None of them: the flow is allowed.
class PolicyActions {
public:
  PolicyActions() = default;
  explicit PolicyActions(PolicyAction only) { add(only); }

  void add(PolicyAction action) { bits_ |= static_cast<std::uint8_t>(action); }
  [[nodiscard]] bool has(PolicyAction action) const {
    return (bits_ & static_cast<std::uint8_t>(action)) != 0;
  }
  [[nodiscard]] bool allow() const { return bits_ == 0; }
  /// Only bits that mean something.
  [[nodiscard]] bool valid() const;
  /// "allow", "block", "block, kill".
  [[nodiscard]] std::string words() const;

  /// By the most drastic one.
  auto operator<=>(const PolicyActions &) const = default;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) { wire(self.bits_); }

private:
  std::uint8_t bits_ = 0;
};

/// What decided: a rule; the default, as none fits; or that what is not known decides.
enum class PolicyBy : std::uint8_t { Rule, Default, Unknown };
/// "rule", "default", "unknown".
[[nodiscard]] const char *to_string(PolicyBy by);

/// What was unknown, and could have made a difference. Bits.
enum class PolicyMissing : std::uint8_t {
  Process = 1, ///< who holds the socket
  Detail = 2,  ///< something of the process that the rule asks for
  Hash = 4,
  Host = 8,
};

/// Asks a sensor to judge the VM's flows by it from now on, those that stand too. Answered by Done.
struct UsePolicy {
  std::string name;
  std::vector<std::uint8_t> bytes; ///< as policy/policy_wire.h makes them; empty: no policy
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.name, self.bytes);
  }
};

/// Of a flow that a policy does not allow.
struct PolicyMatch {
  std::string policy; ///< its name
  std::string rule;   ///< that decided, or "default", "unknown"
  PolicyBy by = PolicyBy::Default;
  PolicyActions actions;
  std::uint8_t missing = 0; ///< PolicyMissing bits
  GuestText host;           ///< the name that the flow was judged with; empty: none
  /// The holders of the socket that the verdict is about, as each is judged by itself; empty: it is
  /// about nobody.
  std::vector<ProcessIdentity> accused;
  bool answered = true; ///< false: begun outside, and the guest let nobody in
  /// How many flows of this process (of nobody: of this rule) the same rule has refused, this one
  /// included; since it was quiet for an hour.
  std::uint64_t flows = 1;
  bool repeat = false; ///< told before of this process, rule and remote end

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.policy, self.rule, self.by, self.actions, self.missing, self.host, self.accused,
         self.answered, self.flows, self.repeat);
  }
};

} // namespace outguard
