#pragma once
// What the decoder makes of one packet: plain values and a view of the payload. Valid as long as
// the bytes of the packet are.

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/ip_address.h"
#include "facts/flow_seen.h"

namespace outguard::guest {

namespace tcp_flag {
inline constexpr std::uint8_t kFin = 0x01;
inline constexpr std::uint8_t kSyn = 0x02;
inline constexpr std::uint8_t kRst = 0x04;
inline constexpr std::uint8_t kAck = 0x10;
} // namespace tcp_flag

inline constexpr std::size_t kMaxVlanTags = 4; ///< QinQ is two; more is an attack or a loop

struct DecodedPacket {
  Endpoint source; ///< ICMP: port = type (see icmp_ports.h); other protocols without ports: 0
  Endpoint destination;
  std::uint8_t protocol = 0; ///< IANA number, after all extension headers
  std::uint8_t hop_limit = 0;
  std::uint8_t tcp_flags = 0;
  std::uint8_t vlan_count = 0;
  std::array<std::uint16_t, kMaxVlanTags> vlans{}; ///< ids, outer first
  MacAddress source_mac{};
  MacAddress destination_mac{};
  bool cut = false;            ///< the capture holds less than the wire carried
  bool first_fragment = false; ///< more fragments follow, which are not joined
  std::uint16_t window = 0;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgment = 0;
  std::uint32_t payload_length = 0;      ///< on the wire, behind the transport header
  std::span<const std::uint8_t> payload; ///< as captured: at most payload_length
  std::uint32_t wire_length = 0;         ///< whole frame on the wire
  std::int64_t timestamp_ns = 0;
  std::optional<FlowDirection> direction;
};

} // namespace outguard::guest
