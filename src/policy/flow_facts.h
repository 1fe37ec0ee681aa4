#pragma once
// What is known of a flow when it is judged. Owns nothing; lives as long as what it points at.

#include <optional>
#include <string_view>

#include "facts/flow_seen.h"
#include "policy/rule.h"

namespace outguard::policy {

struct FlowFacts {
  FlowTuple tuple;
  FlowDirection initiator = FlowDirection::ToRemote;
  const Attribution *attribution = nullptr; ///< nullptr: nobody was asked
  const Sha256 *sha256 = nullptr;           ///< of the first process's executable
  /// A name seen in the flow; each is judged by itself. Empty: it ended, or can have none. nullopt:
  /// one may still come.
  std::optional<std::string_view> host = {};
};

using Missing = PolicyMissing;

} // namespace outguard::policy
