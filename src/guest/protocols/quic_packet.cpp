#include "guest/protocols/quic_packet.h"

namespace outguard::guest {

namespace {

constexpr std::size_t kMostId = 20; ///< of versions 1 and 2; others have up to 255

QuicPacketType type_of(std::uint8_t first, std::uint32_t version) {
  constexpr QuicPacketType kTypes[] = {QuicPacketType::Initial, QuicPacketType::ZeroRtt,
                                       QuicPacketType::Handshake, QuicPacketType::Retry};
  const unsigned bits = first >> 4 & 3U;
  switch (quic_protection(version)) {
  case QuicProtection::None:
    return version == 0 ? QuicPacketType::VersionNegotiation : QuicPacketType::Unknown;
  case QuicProtection::Version2:
    return kTypes[(bits + 3) % 4]; // Retry is 0, Initial 1
  default:
    return kTypes[bits];
  }
}

} // namespace

QuicProtection quic_protection(std::uint32_t version) {
  switch (version) {
  case kQuicVersion1:
    return QuicProtection::Version1;
  case kQuicVersion2:
    return QuicProtection::Version2;
  case 0xfaceb002: // mvfst's draft 27, and an experiment on it
  case 0xfaceb00e:
    return QuicProtection::Draft23;
  default:
    break;
  }
  const std::uint32_t draft = version - 0xff000000;
  return draft >= 23 && draft <= 28   ? QuicProtection::Draft23
         : draft >= 29 && draft <= 32 ? QuicProtection::Draft29
         : draft == 33 || draft == 34 ? QuicProtection::Version1
                                      : QuicProtection::None;
}

std::optional<std::uint64_t> quic_integer(ByteCursor &cursor) {
  const auto first = cursor.u8();
  if (!first) {
    return std::nullopt;
  }
  const auto more = cursor.take((std::size_t{1} << (*first >> 6)) - 1);
  if (!more) {
    return std::nullopt;
  }
  std::uint64_t value = *first & 0x3f;
  for (const std::uint8_t byte : *more) {
    value = value << 8 | byte;
  }
  return value;
}

std::optional<QuicPacket> next_quic_packet(ByteCursor &datagram) {
  const auto bytes = datagram.rest();
  ByteCursor cursor(bytes);
  const auto first = cursor.u8();
  const auto version = cursor.be32();
  const auto id_length = cursor.u8();
  const auto id = cursor.take(id_length.value_or(0));
  const auto other_length = cursor.u8();
  if (!first || !version || !id_length || !id || !other_length || !cursor.skip(*other_length) ||
      !has_quic_long_header(*first)) {
    return std::nullopt;
  }
  QuicPacket packet{type_of(*first, *version), *version, *id, bytes, 0};
  const bool known = quic_protection(*version) != QuicProtection::None;
  if (known && (id->size() > kMostId || *other_length > kMostId)) {
    return std::nullopt;
  }
  if (!known || packet.type == QuicPacketType::Retry) {
    (void)datagram.skip(bytes.size());
    return packet;
  }
  if (packet.type == QuicPacketType::Initial) {
    const auto token = quic_integer(cursor);
    if (!token || *token > cursor.remaining() || !cursor.skip(*token)) {
      return std::nullopt;
    }
  }
  const auto length = quic_integer(cursor);
  if (!length || *length > cursor.remaining()) {
    return std::nullopt;
  }
  packet.number_at = cursor.position();
  packet.bytes = bytes.first(cursor.position() + *length);
  (void)datagram.skip(packet.bytes.size());
  return packet;
}

} // namespace outguard::guest
