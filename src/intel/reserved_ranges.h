#pragma once
// Addresses and names that are no indicator of anything, whatever a feed says (real feeds list
// 127.0.0.1 and localhost.localdomain).

#include <optional>
#include <string_view>

#include "intel/ip_network.h"
#include "intel/reject_reason.h"

namespace outguard::intel {

/// `Allow` accepts private and documentation ranges and names, for labs and own networks. Loopback,
/// link-local, multicast, unspecified and broadcast stay refused.
enum class ReservedPolicy : std::uint8_t { Refuse, Allow };

/// Why a network (or address: full prefix) may not be an indicator; it need only touch such a
/// range.
[[nodiscard]] std::optional<RejectReason> reserved_reason(const IpNetwork &network,
                                                          ReservedPolicy policy);

/// The same for a name in canonical form.
[[nodiscard]] bool is_reserved_name(std::string_view name, ReservedPolicy policy);

} // namespace outguard::intel
