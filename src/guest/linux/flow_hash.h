#pragma once
// The kernel's hashes of addresses and ports: which bucket of a socket table a flow lies in. Pure
// functions. The same from 5.10 on (include/linux/jhash.h, net/ipv4/inet_hashtables.c,
// net/ipv6/inet6_hashtables.c, include/net/ip.h); a kernel that hashes differently is noticed by
// FlowSockets, which looks up what it knows before it trusts a bucket.

#include <cstdint>
#include <span>

#include "facts/flow_seen.h"

namespace outguard::guest {

/// Bob Jenkins' lookup3 as the kernel has it; jhash_1word() and jhash_3words() are this, too.
[[nodiscard]] std::uint32_t jhash2(std::span<const std::uint32_t> words, std::uint32_t initial);

/// Made by the kernel at the first connection, one for all network namespaces.
struct HashSecrets {
  std::uint32_t v4 = 0;
  std::uint32_t v6 = 0;
  std::uint32_t v6_remote = 0;
};

/// Of a connected TCP socket. `mix` is the namespace's own number. Both addresses of one family;
/// IPv4-mapped ones must have become IPv4 before.
[[nodiscard]] std::uint32_t established_hash(const FlowTuple &flow, const HashSecrets &secrets,
                                             std::uint32_t mix);
/// Of a listener in the table by port and address (lhash2); the unspecified address of either
/// family is the same.
[[nodiscard]] std::uint32_t listen_hash(const Endpoint &local, std::uint32_t mix);
/// Of a UDP socket, and of a listener in the table by port alone (until 5.18).
[[nodiscard]] constexpr std::uint32_t port_hash(std::uint16_t port, std::uint32_t mix) {
  return port + mix;
}

} // namespace outguard::guest
