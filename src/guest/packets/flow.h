#pragma once
// One flow in the flow table: compact, no heap, one per connection and VM. Owned by the FlowTable;
// a reference is good until the flow's on_flow_ended. The sensor's own state hangs on `user`.

#include <array>
#include <cstdint>

#include "facts/flow_seen.h"
#include "guest/packets/decoded_packet.h"
#include "guest/protocols/observable.h"

namespace outguard::guest {

enum class TcpState : std::uint8_t { None, Opening, Open, Closing, Closed };

/// One direction of a flow.
struct FlowSide {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;         ///< frames on the wire
  std::uint32_t next_sequence = 0; ///< what the receiver expects next; see flow_table.cpp
  std::uint32_t expected = 0;      ///< next byte of the stream that the inspector needs
  std::uint32_t stream = 0;        ///< StreamAssembler's handle; 0: none
  std::uint8_t hop_limit = 0;      ///< of its first packet
  bool anchored = false;           ///< `expected` is valid
  bool inspected = false;          ///< nothing more is wanted of this direction
  bool sequence_known : 1 = false;
  bool fin : 1 = false;
  bool moved : 1 = false; ///< to `expected`, by its receiver: what is held of it lies elsewhere
};
/// Whose SYN came within a connection, and waits for its answer.
enum class SynOffer : std::uint8_t { None, Guest, Remote };

struct alignas(64) Flow {
  // First cache line: what a look-up compares, and what else every packet needs.
  FlowTuple tuple;      ///< as the guest sees it
  bool answered = true; ///< false: a SYN was seen, and nothing yet that says it was heeded
  SynOffer offer = SynOffer::None;
  std::uint32_t network = 0; ///< as DecodedPacket's
  FlowDirection initiator = FlowDirection::ToRemote;
  TcpState tcp_state = TcpState::None;
  AppProtocol app_protocol = AppProtocol::None;
  bool syn_seen : 1 = false;
  /// The sink's mark, also on a flow that it only looks at: every kind is observed of it from now
  /// on.
  mutable bool watched : 1 = false;
  std::uint32_t offered_sequence = 0;
  std::int64_t last_packet_ns = 0; ///< time stamp of the packet at hand while the sink is called
  // Second: what a packet changes.
  std::array<FlowSide, 2> sides; ///< by FlowDirection
  // Third: what a flow is born with.
  std::uint64_t id = 0; ///< unique per pipeline, from 1; 0: free slot
  std::int64_t first_packet_ns = 0;
  std::uint64_t user = 0; ///< the sink's; 0 at on_flow_started
  std::uint32_t hash = 0;
  std::uint32_t first_sequence = 0; ///< of the SYN, when one was seen
  std::uint8_t blind = 0;           ///< Blindness bits
  std::uint8_t vlan_count = 0;
  std::array<std::uint16_t, 4> vlans{};
  MacAddress guest_mac{};
  MacAddress remote_mac{};
  TunnelPath tunnels;
  FlowReference carrier; ///< flow of the packets that this one's came in

  [[nodiscard]] FlowSide &side(FlowDirection direction) {
    return sides[static_cast<std::size_t>(direction)];
  }
  [[nodiscard]] const FlowSide &side(FlowDirection direction) const {
    return sides[static_cast<std::size_t>(direction)];
  }
};

static_assert(sizeof(Flow) == 192, "three cache lines");

enum class FlowEnd : std::uint8_t { Idle, Closed, Evicted, Replaced, Shutdown };

} // namespace outguard::guest
