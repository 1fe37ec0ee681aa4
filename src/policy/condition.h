#pragma once
// The conditions a rule can have, each judged by itself against what is known. Pure.

#include <cstddef>
#include <cstdint>
#include <optional>

#include "policy/flow_facts.h"
#include "policy/rule.h"

namespace outguard::policy {

enum class Condition : std::uint8_t {
  Direction,
  Protocol,
  Remote,
  Port,
  Host,
  Exe,
  Comm,
  ExeHash, ///< "sha256"
  Uid,
  Container,
  Unit,
  Ancestor,
};
inline constexpr std::size_t kConditions = static_cast<std::size_t>(Condition::Ancestor) + 1;

enum class Truth : std::uint8_t { Yes, No, Unknown };

/// A flow, and one of the processes that hold its socket. A flow whose holders are not known has
/// one subject without a process.
struct Subject {
  const FlowFacts *flow = nullptr;
  const ProcessSeen *process = nullptr; ///< nullptr: not known, or not as it was then
  const Attribution *lineage = nullptr; ///< whose ancestors are this process's; nullptr: none
  const Sha256 *sha256 = nullptr;       ///< of its executable; nullptr: not known
};

[[nodiscard]] bool asks_for(const Rule &rule, Condition condition);
/// Yes where the rule does not ask for it.
[[nodiscard]] Truth holds(const Rule &rule, Condition condition, const Subject &subject);
/// What has to be known for a condition whose truth is Unknown.
[[nodiscard]] Missing missing_for(Condition condition, const Subject &subject);

/// The port that the flow was begun to; nullopt: its protocol has none.
[[nodiscard]] std::optional<std::uint16_t> service_port(const FlowTuple &tuple,
                                                        FlowDirection initiator);
[[nodiscard]] bool has_ports(std::uint8_t protocol);

} // namespace outguard::policy
