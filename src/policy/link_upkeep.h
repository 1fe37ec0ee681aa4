#pragma once
// What every kernel says to the hosts on its own link, by no process: without it there is no IPv6
// and no multicast. It is no policy's business. Pure function, any thread.

#include "facts/flow_seen.h"

namespace outguard::policy {

/// Neighbour discovery (RFC 4861), MLD (RFC 2710, 3810) and IGMP (RFC 2236, 3376), to link-local
/// and link-scope group addresses only: no router passes those on, so nothing leaves by them.
[[nodiscard]] bool is_link_upkeep(const FlowTuple &tuple, FlowDirection initiator);

} // namespace outguard::policy
