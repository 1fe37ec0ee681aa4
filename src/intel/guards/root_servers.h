#pragma once
// The addresses of the DNS root servers. Every resolver asks them; feeds made of sandbox traffic
// list them all the same. Pure function.

#include "intel/ip_network.h"

namespace outguard::intel {

/// Does it hold one of them? An address is a network of full prefix.
[[nodiscard]] bool holds_root_server(const IpNetwork &network);

} // namespace outguard::intel
