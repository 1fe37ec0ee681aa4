#pragma once
// Builds the few frames that the responder sends into a flow. Pure: a flow in, bytes out; reads no
// packet. Numbers follow RFC 9293 and RFC 5961: a reset counts only at exactly the next sequence
// number that its receiver expects, and in SYN-SENT only if it acknowledges the SYN, so every reset
// carries both.

#include <cstdint>
#include <optional>
#include <vector>

#include "facts/flow_seen.h"

namespace outguard::respond {

using Frame = std::vector<std::uint8_t>; ///< Ethernet, without FCS

enum class Toward : std::uint8_t { Guest, Remote };

/// A TCP reset for one end. nullopt: that end's next sequence number is not known, so nothing that
/// it would accept can be made. (To the guest, a handshake without an answer yet needs none.)
[[nodiscard]] std::optional<Frame> tcp_reset(const FlowSeen &flow, const TcpPosition &position,
                                             Toward toward);
/// "Port unreachable" from the remote end for a UDP flow: a connected socket gets ECONNREFUSED, and
/// a sleeper in it wakes.
[[nodiscard]] Frame port_unreachable(const FlowSeen &flow);
/// An empty datagram from the remote end: wakes a reader of an unconnected socket too.
[[nodiscard]] Frame empty_datagram(const FlowSeen &flow);

/// The frame without its link layer: what a raw IP socket sends.
[[nodiscard]] std::vector<std::uint8_t> network_layer(const FlowSeen &flow, const Frame &frame);

} // namespace outguard::respond
