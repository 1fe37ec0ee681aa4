#pragma once
// Addresses that everybody asks: the DNS root servers and the large public resolvers. Feeds made of
// sandbox traffic list them all the same. Pure function.

#include <optional>

#include "intel/ip_network.h"
#include "intel/reject_reason.h"

namespace outguard::intel {

/// Why a network that holds one of them is no indicator. An address is a network of full prefix.
[[nodiscard]] std::optional<RejectReason> well_known_reason(const IpNetwork &network);

} // namespace outguard::intel
