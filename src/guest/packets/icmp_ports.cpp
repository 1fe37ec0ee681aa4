#include "guest/packets/icmp_ports.h"

#include <array>

#include "base/ip_address.h"

namespace outguard::guest {

namespace {

struct Pair {
  std::uint8_t request;
  std::uint8_t answer;
};
// RFC 792, 950, 1256: echo, router discovery, timestamp, information, address mask.
constexpr std::array kIcmp{Pair{8, 0}, Pair{10, 9}, Pair{13, 14}, Pair{15, 16}, Pair{17, 18}};
// RFC 4443, 2710, 4861, 4620, 4065: echo, MLD, router, neighbour, node information, home agent.
constexpr std::array kIcmpv6{Pair{128, 129}, Pair{130, 131}, Pair{133, 134},
                             Pair{135, 136}, Pair{139, 140}, Pair{144, 145}};

template <class Pairs> IcmpPorts lookup(const Pairs &pairs, std::uint8_t type, std::uint8_t code) {
  for (const Pair &pair : pairs) {
    if (pair.request == type) {
      return {type, pair.answer};
    }
    if (pair.answer == type) {
      return {type, pair.request};
    }
  }
  return {type, code};
}

} // namespace

IcmpPorts icmp_ports(std::uint8_t protocol, std::uint8_t type, std::uint8_t code) {
  return protocol == static_cast<std::uint8_t>(IpProtocol::Icmp) ? lookup(kIcmp, type, code)
                                                                 : lookup(kIcmpv6, type, code);
}

} // namespace outguard::guest
