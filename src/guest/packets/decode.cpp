#include "guest/packets/decode.h"

#include <algorithm>

#include "guest/bytes/byte_cursor.h"
#include "guest/packets/icmp_ports.h"

namespace outguard::guest {

namespace {

using Drop = std::optional<DropReason>;
constexpr Drop kDecoded = std::nullopt;

constexpr std::uint16_t kEtherIpv4 = 0x0800;
constexpr std::uint16_t kEtherIpv6 = 0x86dd;
constexpr std::uint16_t kVlanIdMask = 0x0fff;

bool is_vlan_tag(std::uint16_t type) {
  return type == 0x8100 || type == 0x88a8 || type == 0x9100 || type == 0x9200;
}

/// One packet on its way through the layers. `behind` is what the wire carried behind the captured
/// bytes: it is part of every length that a header claims.
class Decoder {
public:
  Decoder(const PacketView &packet, DecodedPacket &out)
      : packet_(packet), out_(out), cursor_(packet.bytes) {
    out_.wire_length = std::max<std::uint32_t>(packet.original_length,
                                               static_cast<std::uint32_t>(packet.bytes.size()));
    behind_ = out_.wire_length - static_cast<std::uint32_t>(packet.bytes.size());
    out_.cut = behind_ > 0;
    out_.timestamp_ns = packet.timestamp_ns;
    out_.direction = packet.direction;
  }

  Drop link() {
    switch (packet_.link) {
    case LinkType::Ethernet:
      return ethernet();
    case LinkType::Null:
    case LinkType::Loop:
      return loopback();
    case LinkType::RawBsd:
    case LinkType::RawOpenBsd:
    case LinkType::Raw:
      return ip_by_version();
    case LinkType::RawV4:
      return ipv4();
    case LinkType::RawV6:
      return ipv6();
    case LinkType::LinuxCooked:
      return cooked(14);
    case LinkType::LinuxCooked2:
      return cooked2();
    }
    return DropReason::UnknownLink;
  }

private:
  Drop ethernet() {
    const auto destination = cursor_.take(6);
    const auto source = cursor_.take(6);
    const auto type = cursor_.be16();
    if (!destination || !source || !type) {
      return DropReason::LinkTooShort;
    }
    std::copy_n(destination->begin(), 6, out_.destination_mac.begin());
    std::copy_n(source->begin(), 6, out_.source_mac.begin());
    if (packet_.outer_tag) {
      out_.vlans[out_.vlan_count++] = packet_.outer_tag->control & kVlanIdMask;
    }
    return by_ether_type(*type);
  }

  /// BSD loopback: the family in the writer's byte order, so both are tried. AF_INET is 2
  /// everywhere, AF_INET6 is 10, 24, 28 or 30; the version nibble tells as much.
  Drop loopback() { return cursor_.skip(4) ? ip_by_version() : DropReason::LinkTooShort; }

  Drop cooked(std::size_t before_type) {
    if (!cursor_.skip(before_type)) {
      return DropReason::LinkTooShort;
    }
    const auto type = cursor_.be16();
    return type ? by_ether_type(*type) : DropReason::LinkTooShort;
  }

  Drop cooked2() {
    const auto type = cursor_.be16();
    if (!type || !cursor_.skip(18)) {
      return DropReason::LinkTooShort;
    }
    return by_ether_type(*type);
  }

  Drop by_ether_type(std::uint16_t type) {
    while (is_vlan_tag(type)) {
      const auto control = cursor_.be16();
      const auto inner = cursor_.be16();
      if (!control || !inner) {
        return DropReason::LinkTooShort;
      }
      if (out_.vlan_count == kMaxVlanTags) {
        return DropReason::TooManyTags;
      }
      out_.vlans[out_.vlan_count++] = *control & kVlanIdMask;
      type = *inner;
    }
    switch (type) {
    case kEtherIpv4:
      return ipv4();
    case kEtherIpv6:
      return ipv6();
    default:
      return DropReason::NotIp;
    }
  }

  Drop ip_by_version() {
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

  Drop ipv4() {
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
    const auto fragment = static_cast<std::uint16_t>(ip[6] << 8 | ip[7]);
    if ((fragment & 0x1fff) != 0) {
      return DropReason::Fragment;
    }
    out_.first_fragment = (fragment & 0x2000) != 0;
    return transport(ip[9]);
  }

  Drop ipv6() {
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
    return extension_headers(ip[6]);
  }

  Drop extension_headers(std::uint8_t next) {
    for (int count = 0; count <= kMaxExtensionHeaders; ++count) {
      switch (next) {
      case 0:     // hop-by-hop options
      case 43:    // routing
      case 60:    // destination options
      case 135:   // mobility
      case 139:   // host identity
      case 140: { // shim6
        const auto fixed = cursor_.take(2);
        if (!fixed || !cursor_.skip((*fixed)[1] * std::size_t{8} + 6)) {
          return DropReason::IpTooShort;
        }
        next = (*fixed)[0];
        break;
      }
      case 51: { // authentication: counted in 4 bytes, less 2
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
        if (((*fixed)[2] << 8 | ((*fixed)[3] & 0xf8)) != 0) {
          return DropReason::Fragment;
        }
        out_.first_fragment = (*fixed)[3] & 1;
        next = (*fixed)[0];
        break;
      }
      default:
        return transport(next);
      }
    }
    return DropReason::TooManyExtensions;
  }

  Drop transport(std::uint8_t protocol) {
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
    }
    if (drop == DropReason::TransportTooShort && out_.first_fragment) {
      return DropReason::Fragment;
    }
    out_.payload = cursor_.rest();
    out_.payload_length = left_on_wire();
    return drop;
  }

  /// Headers that promise more than the frame carries: capture tools cut so, hosts drop such
  /// packets. What is there of a datagram is looked at; a stream must not take bytes that no
  /// receiver takes.
  void note_overlong(std::uint32_t promised, std::uint32_t carried) {
    overlong_ = promised > carried;
    out_.cut = out_.cut || overlong_;
  }

  Drop tcp() {
    if (overlong_) {
      return DropReason::BadIpHeader;
    }
    const auto header = cursor_.take(20);
    if (!header) {
      return DropReason::TransportTooShort;
    }
    ByteCursor fields(*header);
    out_.source.port = *fields.be16();
    out_.destination.port = *fields.be16();
    out_.sequence = *fields.be32();
    out_.acknowledgment = *fields.be32();
    const std::uint32_t header_length = (*fields.u8() >> 4) * 4U;
    out_.tcp_flags = *fields.u8();
    out_.window = *fields.be16();
    if (header_length < 20 || header_length - 20 > left_on_wire()) {
      return DropReason::BadTransportHeader;
    }
    return cursor_.skip(header_length - 20) ? kDecoded : DropReason::TransportTooShort;
  }

  Drop udp() {
    const auto source = cursor_.be16();
    const auto destination = cursor_.be16();
    const auto length = cursor_.be16();
    if (!source || !destination || !length || !cursor_.skip(2)) {
      return DropReason::TransportTooShort;
    }
    out_.source.port = *source;
    out_.destination.port = *destination;
    if (out_.protocol == static_cast<std::uint8_t>(IpProtocol::UdpLite) || *length == 0) {
      return kDecoded; // UDP-Lite: checksum coverage. 0: a GSO frame beyond 64 KiB
    }
    if (*length < 8) {
      return DropReason::BadTransportHeader;
    }
    const std::uint32_t payload = *length - 8U;
    out_.cut = out_.cut || (payload > left_on_wire() && !out_.first_fragment);
    limit(std::min(payload, left_on_wire()));
    return kDecoded;
  }

  Drop icmp() {
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

  /// Bytes from here to the end of the frame on the wire, captured or not.
  [[nodiscard]] std::uint32_t left_on_wire() const {
    return static_cast<std::uint32_t>(cursor_.remaining()) + behind_;
  }
  /// A header said that `length` bytes follow: padding goes.
  void limit(std::uint32_t length) {
    const std::size_t captured = std::min<std::size_t>(length, cursor_.remaining());
    cursor_ = ByteCursor(cursor_.rest().first(captured));
    behind_ = length - static_cast<std::uint32_t>(captured);
  }

  const PacketView &packet_;
  DecodedPacket &out_;
  ByteCursor cursor_;
  std::uint32_t behind_ = 0;
  bool overlong_ = false;
};

} // namespace

std::optional<DropReason> decode(const PacketView &packet, DecodedPacket &out) {
  out = DecodedPacket{};
  return Decoder(packet, out).link();
}

} // namespace outguard::guest
