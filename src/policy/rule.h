#pragma once
// One rule of a policy: conditions that must all hold, and what is wanted then. Plain values;
// FlowPolicy::make() says whether they make sense.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "facts/flow_seen.h"
#include "facts/network_rule.h"
#include "facts/policy_match.h"

namespace outguard::policy {

using Action = PolicyAction;
using Actions = PolicyActions;
inline constexpr auto &kActions = kPolicyActions;

/// Both ends included.
template <class Number> struct Range {
  Number first = 0, last = 0;

  [[nodiscard]] bool contains(Number value) const { return first <= value && value <= last; }
  auto operator<=>(const Range &) const = default;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.first, self.last);
  }
};

using Sha256 = std::array<std::uint8_t, 32>;

/// Of each list any one will do; an empty list asks for nothing.
struct Rule {
  std::string name;
  Actions actions;

  std::optional<FlowDirection> direction; ///< of who began
  std::vector<std::uint8_t> protocols;    ///< IANA numbers
  std::vector<IpNetwork> remotes;
  std::vector<Range<std::uint16_t>> ports; ///< that the flow was begun to, whose ever that is
  std::vector<std::string> hosts;          ///< host_pattern.h

  std::vector<std::string> exes;          ///< path_pattern.h
  std::vector<std::string> comms;         ///< path_pattern.h, as are units and ancestors
  std::vector<Sha256> sha256s;            ///< of the executable
  std::vector<Range<std::uint32_t>> uids; ///< real, in the root user namespace
  std::vector<std::string> containers;    ///< see kNone, kAny; a name, an id, or its first digits
  std::vector<std::string> units;
  std::vector<std::string> ancestors; ///< comm of any of them

  bool operator==(const Rule &) const = default;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.name, self.actions, self.direction, self.protocols, self.remotes, self.ports,
         self.hosts, self.exes, self.comms, self.sha256s, self.uids, self.containers, self.units,
         self.ancestors);
  }
};

/// Words for containers: in none, in some.
inline constexpr const char *kNone = "none";
inline constexpr const char *kAny = "any";

} // namespace outguard::policy
