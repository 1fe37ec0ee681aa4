#pragma once
// What a packet was wrapped in. A closed list; VLAN tags are not of it, they have their own place.

#include <cstdint>

namespace outguard {

enum class TunnelKind : std::uint8_t { None, Mpls, Pppoe, Gre, IpInIp, Vxlan, Geneve, Teredo };
/// "mpls", "pppoe", "gre", "ipip", "vxlan", "geneve", "teredo".
[[nodiscard]] const char *to_string(TunnelKind kind);

} // namespace outguard
