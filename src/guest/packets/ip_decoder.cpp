#include "guest/packets/ip_decoder.h"

#include <algorithm>

#include "guest/packets/decode.h"
#include "guest/packets/icmp_ports.h"
#include "guest/packets/tunnel_header.h"
#include "guest/packets/wire_fields.h"

namespace outguard::guest {

namespace {
constexpr std::uint8_t kSctp = 132;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kAuthentication = 51; ///< RFC 4302: readable, and what follows too
} // namespace

IpDecoder::Drop IpDecoder::ip_by_version() {
  if (cursor_.at_end()) {
    return DropReason::IpTooShort;
  }
  switch (cursor_.rest()[0] >> 4) {
  case 4:
    return ipv4();
  case 6:
    return ipv6();
  default:
    return DropReason::NotIp;
  }
}

IpDecoder::Drop IpDecoder::ipv4() {
  auto header = cursor_.take(20);
  if (!header) {
    return DropReason::IpTooShort;
  }
  const auto &ip = *header;
  const std::uint32_t header_length = (ip[0] & 0x0fU) * 4;
  auto total = static_cast<std::uint32_t>(ip[2] << 8 | ip[3]);
  if (ip[0] >> 4 != 4 || header_length < 20) {
    return DropReason::BadIpHeader;
  }
  if (total == 0) { // GSO frames beyond 64 KiB, and offload on old drivers: all there is
    total = 20 + left_on_wire();
  }
  if (total < header_length) {
    return DropReason::BadIpHeader;
  }
  note_overlong(total, 20 + left_on_wire());
  if (!cursor_.skip(header_length - 20)) {
    return DropReason::IpTooShort;
  }
  limit(total - header_length);
  out_.hop_limit = ip[8];
  out_.source.address = IpAddress::v4(ip.subspan<12, 4>());
  out_.destination.address = IpAddress::v4(ip.subspan<16, 4>());
  const auto flags = static_cast<std::uint16_t>(ip[6] << 8 | ip[7]);
  if ((flags & 0x3fff) != 0) {
    out_.fragment_id = static_cast<std::uint32_t>(ip[4] << 8 | ip[5]);
    return fragment(ip[9], (flags & 0x1fffU) * 8, (flags & 0x2000) != 0);
  }
  return behind_ip(ip[9]);
}

IpDecoder::Drop IpDecoder::ipv6() {
  auto header = cursor_.take(40);
  if (!header) {
    return DropReason::IpTooShort;
  }
  const auto &ip = *header;
  auto length = static_cast<std::uint32_t>(ip[4] << 8 | ip[5]);
  if (ip[0] >> 4 != 6) {
    return DropReason::BadIpHeader;
  }
  if (length == 0) { // jumbogram (RFC 2675) or BIG TCP: all there is
    length = left_on_wire();
  }
  note_overlong(length, left_on_wire());
  limit(length);
  out_.hop_limit = ip[7];
  out_.source.address = IpAddress::v6(ip.subspan<8, 16>());
  out_.destination.address = IpAddress::v6(ip.subspan<24, 16>());
  return behind_ip(ip[6]);
}

IpDecoder::Drop IpDecoder::behind_ip(std::uint8_t protocol) {
  const bool is_v4 = out_.source.address.family == IpFamily::V4;
  return is_v4 && protocol != kAuthentication ? transport(protocol) : extension_headers(protocol);
}

IpDecoder::Drop IpDecoder::extension_headers(std::uint8_t next) {
  for (int count = 0; count <= kMaxExtensionHeaders; ++count) {
    switch (next) {
    case 0: // hop-by-hop options
    case kRouting:
    case 60:    // destination options
    case 135:   // mobility
    case 139:   // host identity
    case 140: { // shim6
      const auto fixed = cursor_.take(2);
      if (next == kRouting && cursor_.remaining() >= 2 && cursor_.rest()[1] != 0) {
        checksums_filled_ = false; // with an address that is yet to come: RFC 8200, 8.1
      }
      if (!fixed || !cursor_.skip((*fixed)[1] * std::size_t{8} + 6)) {
        return DropReason::IpTooShort;
      }
      next = (*fixed)[0];
      break;
    }
    case kAuthentication: { // its length counts 4 bytes, less 2
      const auto fixed = cursor_.take(2);
      if (!fixed || !cursor_.skip((*fixed)[1] * std::size_t{4} + 6)) {
        return DropReason::IpTooShort;
      }
      next = (*fixed)[0];
      break;
    }
    case 44: { // fragment
      const auto fixed = cursor_.take(8);
      if (!fixed) {
        return DropReason::IpTooShort;
      }
      next = (*fixed)[0];
      const auto offset = static_cast<std::uint32_t>((*fixed)[2] << 8 | ((*fixed)[3] & 0xf8));
      const bool more = ((*fixed)[3] & 1) != 0;
      if (offset != 0 || more) { // else whole: RFC 6946
        out_.fragment_id = *ByteCursor(fixed->subspan(4)).be32();
        return fragment(next, offset, more);
      }
      break;
    }
    default:
      return transport(next);
    }
  }
  return DropReason::TooManyExtensions;
}

/// A part of a packet; `protocol` may be an extension header's.
IpDecoder::Drop IpDecoder::fragment(std::uint8_t protocol, std::uint32_t offset, bool more) {
  out_.protocol = protocol;
  out_.is_fragment = true;
  out_.more_fragments = more;
  out_.fragment_offset = offset;
  out_.payload = cursor_.rest();
  out_.payload_length = left_on_wire();
  return kDecoded;
}

IpDecoder::Drop IpDecoder::transport(std::uint8_t protocol) {
  out_.protocol = protocol;
  Drop drop = kDecoded;
  switch (static_cast<IpProtocol>(protocol)) {
  case IpProtocol::Tcp:
    drop = tcp();
    break;
  case IpProtocol::Udp:
  case IpProtocol::UdpLite:
    drop = udp();
    break;
  case IpProtocol::Icmp:
  case IpProtocol::Icmpv6:
    drop = icmp();
    break;
  default:
    drop = protocol == kSctp ? sctp() : kDecoded;
    out_.tunnel = tunnel_of_protocol(protocol);
    break;
  }
  out_.payload = cursor_.rest();
  out_.payload_length = left_on_wire();
  if (protocol == static_cast<std::uint8_t>(IpProtocol::Udp)) {
    out_.tunnel = tunnel_of_datagram(out_.source.port, out_.destination.port, out_.payload);
  }
  return drop;
}

/// Headers that promise more than the frame carries: capture tools cut so, hosts drop such
/// packets. What is there of a datagram is looked at; a stream must not take bytes that no
/// receiver takes.
void IpDecoder::note_overlong(std::uint32_t promised, std::uint32_t carried) {
  overlong_ = promised > carried;
  out_.cut = out_.cut || overlong_;
}

IpDecoder::Drop IpDecoder::tcp() {
  if (overlong_) {
    return DropReason::BadIpHeader;
  }
  const auto header = cursor_.take(20);
  if (!header) {
    return DropReason::TransportTooShort;
  }
  const std::span<const std::uint8_t, 20> fields(header->data(), 20);
  out_.source.port = big16(fields.subspan<0, 2>());
  out_.destination.port = big16(fields.subspan<2, 2>());
  out_.sequence = big32(fields.subspan<4, 4>());
  out_.acknowledgment = big32(fields.subspan<8, 4>());
  const std::uint32_t header_length = (fields[12] >> 4) * 4U;
  out_.tcp_flags = fields[13];
  out_.window = big16(fields.subspan<14, 2>());
  if (header_length < 20 || header_length - 20 > left_on_wire()) {
    return DropReason::BadTransportHeader;
  }
  out_.checked_header =
      static_cast<std::uint8_t>(checksums_filled_ && !out_.cut ? header_length : 0);
  return cursor_.skip(header_length - 20) ? kDecoded : DropReason::TransportTooShort;
}

/// RFC 9260: ports, verification tag, checksum.
IpDecoder::Drop IpDecoder::sctp() {
  const auto header = cursor_.take(12);
  if (!header) {
    return DropReason::TransportTooShort;
  }
  out_.source.port = big16(header->subspan<0, 2>());
  out_.destination.port = big16(header->subspan<2, 2>());
  return kDecoded;
}

IpDecoder::Drop IpDecoder::udp() {
  const auto header = cursor_.take(8);
  if (!header) {
    return DropReason::TransportTooShort;
  }
  const std::span<const std::uint8_t, 8> fields(header->data(), 8);
  out_.source.port = big16(fields.subspan<0, 2>());
  out_.destination.port = big16(fields.subspan<2, 2>());
  const std::uint16_t length = big16(fields.subspan<4, 2>());
  if (out_.protocol == static_cast<std::uint8_t>(IpProtocol::UdpLite) || length == 0) {
    return kDecoded; // UDP-Lite: checksum coverage. 0: a GSO frame beyond 64 KiB
  }
  if (length < 8) {
    return DropReason::BadTransportHeader;
  }
  const std::uint32_t payload = length - 8U;
  out_.cut = out_.cut || payload > left_on_wire();
  limit(std::min(payload, left_on_wire()));
  return kDecoded;
}

IpDecoder::Drop IpDecoder::icmp() {
  const auto type = cursor_.u8();
  const auto code = cursor_.u8();
  if (!type || !code || !cursor_.skip(2)) {
    return DropReason::TransportTooShort;
  }
  const auto ports = icmp_ports(out_.protocol, *type, *code);
  out_.source.port = ports.source;
  out_.destination.port = ports.destination;
  return kDecoded;
}

} // namespace outguard::guest
