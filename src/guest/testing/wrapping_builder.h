#pragma once
// Puts built packets into tunnels and cuts them into fragments. The inner ones are whole frames, or
// IP packets without a link header where a tunnel carries those. Deterministic.

#include "guest/testing/packet_builder.h"

namespace outguard::guest {

[[nodiscard]] Bytes ethernet(std::uint16_t ether_type, const Bytes &content);
/// In a frame; labels outer first.
[[nodiscard]] Bytes in_mpls(const std::vector<std::uint32_t> &labels, const Bytes &content);
/// In a frame; `ip` decides on PPP's protocol.
[[nodiscard]] Bytes in_pppoe(std::uint16_t session, const Bytes &ip);

// In a frame that carries the outer IP packet:
[[nodiscard]] Bytes in_ip(Endpoint from, Endpoint to, const Bytes &ip);
/// GRE with the flags' fields present: checksum 0x8000, key 0x2000, sequence 0x1000.
[[nodiscard]] Bytes in_gre(Endpoint from, Endpoint to, std::uint16_t flags,
                           std::uint16_t ether_type, const Bytes &content, std::uint32_t key = 7);
[[nodiscard]] Bytes in_vxlan(Endpoint from, Endpoint to, std::uint32_t network, const Bytes &frame);
[[nodiscard]] Bytes in_geneve(Endpoint from, Endpoint to, std::uint32_t network,
                              const Bytes &options, std::uint16_t ether_type, const Bytes &content);
/// With authentication and origin before the packet when `indicators`.
[[nodiscard]] Bytes in_teredo(Endpoint from, Endpoint to, const Bytes &ip, bool indicators);

/// A frame without VLAN tags, IP options or extension headers, of which only the bytes from
/// `offset` to `end` of the IP payload are sent.
[[nodiscard]] Bytes fragment_of(const Bytes &frame, std::size_t offset, std::size_t end,
                                std::uint32_t id = 1);
/// All of it, in parts of `part` bytes: a multiple of eight.
[[nodiscard]] std::vector<Bytes> in_fragments(const Bytes &frame, std::size_t part,
                                              std::uint32_t id = 1);

} // namespace outguard::guest
