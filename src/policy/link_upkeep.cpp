#include "policy/link_upkeep.h"

namespace outguard::policy {

namespace {

constexpr std::uint8_t kIgmp = 2;

bool is_of_neighbours(std::uint16_t icmpv6_type) {
  return (icmpv6_type >= 130 && icmpv6_type <= 137) || icmpv6_type == 143;
}

/// fe80::/10, ff02::/16.
bool stays_on_the_link(const IpAddress &address) {
  const auto &at = address.bytes;
  return address.family == IpFamily::V6 &&
         ((at[0] == 0xfe && (at[1] & 0xc0) == 0x80) || (at[0] == 0xff && at[1] == 0x02));
}

/// 224.0.0.0/24, RFC 5771.
bool is_local_group(const IpAddress &address) {
  const auto &at = address.bytes;
  return address.family == IpFamily::V4 && at[0] == 224 && at[1] == 0 && at[2] == 0;
}

} // namespace

bool is_link_upkeep(const FlowTuple &tuple, FlowDirection initiator) {
  const bool from_guest = initiator == FlowDirection::ToRemote;
  // Who began has the type for its port; a group is asked, it never begins.
  const Endpoint &asking = from_guest ? tuple.local : tuple.remote;
  const Endpoint &asked = from_guest ? tuple.remote : tuple.local;
  if (tuple.protocol == static_cast<std::uint8_t>(IpProtocol::Icmpv6)) {
    return is_of_neighbours(asking.port) && stays_on_the_link(asked.address);
  }
  return tuple.protocol == kIgmp && is_local_group(asked.address);
}

} // namespace outguard::policy
