#pragma once
// What the decoder makes of one packet: plain values and a view of the payload. Valid as long as
// the bytes of the packet are. A packet inside a tunnel is one of its own.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/ip_address.h"
#include "facts/flow_seen.h"

namespace outguard::guest {

namespace tcp_flag {
inline constexpr std::uint8_t kFin = 0x01;
inline constexpr std::uint8_t kSyn = 0x02;
inline constexpr std::uint8_t kRst = 0x04;
inline constexpr std::uint8_t kAck = 0x10;
inline constexpr std::uint8_t kUrg = 0x20;
} // namespace tcp_flag

inline constexpr std::size_t kMaxVlanTags = 4; ///< QinQ is two; more is an attack or a loop
inline constexpr std::size_t kMaxTunnels = 4;  ///< an overlay in a provider's tunnel is two

/// The kinds of tunnels around a packet, outer first, four bits each from the lowest.
class TunnelPath {
public:
  [[nodiscard]] bool add(TunnelKind kind) {
    for (std::size_t i = 0; i < kMaxTunnels; ++i) {
      if ((packed_ >> (4 * i) & 0xfU) == 0) {
        packed_ = static_cast<std::uint16_t>(packed_ | static_cast<unsigned>(kind) << (4 * i));
        return true;
      }
    }
    return false;
  }
  [[nodiscard]] bool empty() const { return packed_ == 0; }
  [[nodiscard]] std::vector<TunnelKind> kinds() const {
    std::vector<TunnelKind> all;
    for (unsigned rest = packed_; rest != 0; rest >>= 4) {
      all.push_back(static_cast<TunnelKind>(rest & 0xfU));
    }
    return all;
  }

private:
  std::uint16_t packed_ = 0;
};
static_assert(static_cast<unsigned>(TunnelKind::Teredo) < 16);

/// A flow of the FlowTable, which may have ended since.
struct FlowReference {
  std::uint32_t place = 0; ///< index + 1; 0: none
  std::uint32_t id = 0;    ///< low half of the flow's
};

/// What is not as here in few packets only.
struct UnusualFields {
  std::uint32_t network = 0; ///< tells equal addresses apart: of VLAN tags and tunnel ids
  std::array<std::uint16_t, kMaxVlanTags> vlans{}; ///< ids, outer first; of the outermost frame
  std::uint8_t vlan_count = 0;
  TunnelKind tunnel = TunnelKind::None; ///< what the payload may be, unopened
  TunnelPath tunnels;                   ///< around this packet
  std::uint16_t frames = 1;             ///< that it came in
  FlowReference carrier;                ///< flow of the packet that it came in, set by the pipeline
  bool cut = false;                     ///< the capture holds less than the wire carried
  bool is_fragment = false;             ///< payload: this part of the IP payload; no ports
  bool more_fragments = false;          ///< not the last
  std::uint32_t fragment_id = 0;
  std::uint32_t fragment_offset = 0; ///< bytes
};

struct DecodedPacket : UnusualFields {
  Endpoint source; ///< ICMP: port = type (see icmp_ports.h); other protocols without ports: 0
  Endpoint destination;
  std::uint8_t protocol = 0; ///< IANA number, after all extension headers
  std::uint8_t hop_limit = 0;
  std::uint8_t tcp_flags = 0;
  /// TCP straight from the guest, with a checksum that the guest itself filled in: bytes of the TCP
  /// header, right before the payload. 0: the checksum is nothing to go by.
  std::uint8_t checked_header = 0;
  std::uint16_t window = 0;
  std::optional<FlowDirection> direction;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgment = 0;
  std::uint32_t payload_length = 0;      ///< on the wire, behind the transport header
  std::uint32_t wire_length = 0;         ///< whole frame on the wire; in a tunnel, what it carries
  std::span<const std::uint8_t> payload; ///< as captured: at most payload_length
  std::int64_t timestamp_ns = 0;
  MacAddress source_mac{}; ///< of the outermost frame, as the other one
  MacAddress destination_mac{};
};

} // namespace outguard::guest
