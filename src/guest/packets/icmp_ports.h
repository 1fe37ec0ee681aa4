#pragma once
// The two numbers that stand for ports in an ICMP flow, as the community-id specification defines
// them: an answerable type has its counterpart as the other port, every other type its code.

#include <cstdint>

namespace outguard::guest {

struct IcmpPorts {
  std::uint16_t source = 0;
  std::uint16_t destination = 0;
};

/// `protocol`: 1 (ICMP) or 58 (ICMPv6).
[[nodiscard]] IcmpPorts icmp_ports(std::uint8_t protocol, std::uint8_t type, std::uint8_t code);

} // namespace outguard::guest
