#pragma once
// The EVE line that tells how often what was alerted came again. Pure, any thread.

#include <string>

#include "facts/match_counts.h"
#include "facts/vm_identity.h"

namespace outguard::store {

/// event_type "flow" with Suricata's members (flow.alerted is true) and the alert's flow_id, then
/// vm, matches[], knocks: no tool takes it for another alert.
[[nodiscard]] std::string eve_flow(const MatchedFlowEnded &ended, const VmIdentity &vm);

} // namespace outguard::store
