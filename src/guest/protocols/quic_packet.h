#pragma once
// Headers of QUIC packets as far as they are not protected (RFC 8999; RFC 9000, 17.2; RFC 9369,
// 3.2), and QUIC's integers. Views into the datagram. Pure.

#include <cstdint>
#include <optional>
#include <span>

#include "guest/bytes/byte_cursor.h"

namespace outguard::guest {

inline constexpr std::uint32_t kQuicVersion1 = 0x00000001;
inline constexpr std::uint32_t kQuicVersion2 = 0x6b3343cf;

/// How a version protects its first packets: versions 1 and 2, and the drafts of 1 from 23 on,
/// which clients have shipped (mvfst's under numbers of its own).
enum class QuicProtection : std::uint8_t { None, Draft23, Draft29, Version1, Version2 };
[[nodiscard]] QuicProtection quic_protection(std::uint32_t version);

enum class QuicPacketType : std::uint8_t {
  Initial,
  ZeroRtt,
  Handshake,
  Retry,              ///< the rest of the datagram
  VersionNegotiation, ///< likewise
  Unknown,            ///< of a version that nobody here knows; likewise
};

struct QuicPacket {
  QuicPacketType type = QuicPacketType::Unknown;
  std::uint32_t version = 0;
  std::span<const std::uint8_t> destination_id;
  std::span<const std::uint8_t> bytes; ///< from the first byte to where the packet says it ends
  std::size_t number_at = 0;           ///< of the protected packet number, in `bytes`
};

/// RFC 9000, 16: one to eight bytes.
[[nodiscard]] std::optional<std::uint64_t> quic_integer(ByteCursor &cursor);

/// Could this be the first byte of a packet that says its version?
[[nodiscard]] constexpr bool has_quic_long_header(std::uint8_t first) {
  return (first & 0xc0) == 0xc0;
}

/// Do `datagram`'s first bytes say that it begins a connection, or goes on with its beginning, in a
/// version that can be read?
[[nodiscard]] inline bool has_known_quic_version(std::span<const std::uint8_t> datagram) {
  ByteCursor cursor(datagram);
  const auto first = cursor.u8();
  const auto version = cursor.be32();
  return first && version && has_quic_long_header(*first) &&
         quic_protection(*version) != QuicProtection::None;
}

/// The next packet of a datagram with a long header; nullopt: none, or a length lies.
[[nodiscard]] std::optional<QuicPacket> next_quic_packet(ByteCursor &datagram);

} // namespace outguard::guest
