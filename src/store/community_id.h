#pragma once
// Community ID v1, seed 0: the flow hash that Suricata, Zeek and Wireshark print too. Equal
// addresses of two tenants give equal ids: never a key without the VM.

#include <string>

#include "base/ip_address.h"

namespace outguard::store {

/// `source` and `destination` may be swapped for the same id. ICMP: the ports are type and
/// counterpart type, or type and code for types without a counterpart (then the order counts). ""
/// if the hash fails.
[[nodiscard]] std::string community_id(std::uint8_t protocol, const Endpoint &source,
                                       const Endpoint &destination);

/// An ICMP type that nobody answers: its second "port" is a code.
[[nodiscard]] bool is_one_way_icmp(std::uint8_t protocol, std::uint16_t type);

} // namespace outguard::store
