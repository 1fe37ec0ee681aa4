#pragma once
// What of a VM's traffic is not let through at its tap. "Local" is the guest's side, as in
// FlowTuple. Plain values; a rule's meaning never depends on another's, but for Isolation, which
// lets through what it lists and nothing else, and drops win over it.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/ip_address.h"
#include "facts/flow_seen.h"

namespace outguard {

/// TCP and UDP only. Every other protocol has no ports to tell flows by: block the remote.
struct FlowRule {
  FlowTuple flow;

  auto operator<=>(const FlowRule &) const = default;
};

struct IpNetwork {
  IpAddress address;               ///< bits beyond the prefix are zero
  std::uint8_t prefix_length = 32; ///< at most 32 or 128

  auto operator<=>(const IpNetwork &) const = default;
  [[nodiscard]] bool contains(const IpAddress &other) const;
  [[nodiscard]] std::string to_string() const; ///< "10.0.0.0/8"; a host without its length
  /// The reverse; an address alone is a host. Bits beyond the prefix: nullopt.
  [[nodiscard]] static std::optional<IpNetwork> parse(std::string_view text);
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.address, self.prefix_length);
  }
};

/// Whatever protocol, both ways.
struct RemoteRule {
  IpNetwork remote;

  auto operator<=>(const RemoteRule &) const = default;
};

enum class RuleDirection : std::uint8_t {
  Inbound,  ///< begun by remotes: packets to the guest's port
  Outbound, ///< begun by the guest: packets to the remotes' port
  Both,
};
/// "in", "out", "both".
[[nodiscard]] const char *to_string(RuleDirection direction);

/// A port of TCP (6) or UDP (17). Inbound it is the guest's, outbound the remotes'. Answers to it
/// are dropped as well: what stands is cut.
struct PortRule {
  std::uint8_t protocol = 6;
  std::uint16_t port = 0;
  RuleDirection direction = RuleDirection::Inbound;

  auto operator<=>(const PortRule &) const = default;
};

/// ARP, neighbour discovery and DHCP always pass: a VM must come back by itself once released.
struct IsolationRule {
  std::vector<IpNetwork> allowed; ///< remotes; sorted, at most kMostAllowed

  auto operator<=>(const IsolationRule &) const = default;
};
inline constexpr std::size_t kMostAllowed = 256;

using NetworkRule = std::variant<FlowRule, RemoteRule, PortRule, IsolationRule>;
/// For people and the journal: "tcp 10.0.0.2:4000 <-> 9.9.9.9:443", "remote 10.0.0.0/8",
/// "in tcp port 22", "all but 10.0.0.1".
[[nodiscard]] std::string to_string(const NetworkRule &rule);

} // namespace outguard
