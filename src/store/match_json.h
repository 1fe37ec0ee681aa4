#pragma once
// The parts of an EVE line that tell of a flow, an indicator and counts. Every text is hostile and
// is escaped. For this folder's sources only, as it brings the JSON library.

#include <string_view>

#include "facts/flow_seen.h"
#include "facts/vm_identity.h"
#include "store/json_value.h"

namespace outguard::store {

/// Suricata's members of any event, from flow_id to community_id.
void add_flow(Json &event, const FlowSeen &flow, std::string_view event_type);
[[nodiscard]] Json vm_json(const VmIdentity &identity);
/// null for a beacon: nothing is listed.
[[nodiscard]] Json indicator_json(const MatchSeen &match);
[[nodiscard]] Json beacon_json(const BeaconScore &beacon);
[[nodiscard]] Json policy_json(const PolicyMatch &policy);
[[nodiscard]] Json knocks_json(const Knocks &knocks);
/// Suricata's counts of a flow and its start; and `blind`, the names of Blindness bits.
[[nodiscard]] Json counts_json(const FlowSeen &flow);

} // namespace outguard::store
