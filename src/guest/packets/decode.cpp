#include "guest/packets/decode.h"

#include <algorithm>

#include "guest/bytes/byte_cursor.h"
#include "guest/packets/icmp_ports.h"
#include "guest/packets/tunnel_header.h"
#include "guest/packets/wire_fields.h"

namespace outguard::guest {

namespace {

using Drop = std::optional<DropReason>;
constexpr Drop kDecoded = std::nullopt;

constexpr std::uint8_t kSctp = 132;
constexpr std::uint8_t kAuthentication = 51; ///< RFC 4302: readable, and what follows too

/// One packet on its way through the layers. `behind` is what the wire carried behind the captured
/// bytes: it is part of every length that a header claims.
class Decoder {
public:
  Decoder(const PacketView &packet, DecodedPacket &out) : out_(out), cursor_(packet.bytes) {
    out_.wire_length = std::max<std::uint32_t>(packet.original_length,
                                               static_cast<std::uint32_t>(packet.bytes.size()));
    behind_ = out_.wire_length - static_cast<std::uint32_t>(packet.bytes.size());
    out_.cut = behind_ > 0;
    out_.timestamp_ns = packet.timestamp_ns;
    out_.direction = packet.direction;
    checksums_filled_ = packet.checksums_filled && packet.direction == FlowDirection::ToRemote;
  }
  /// What a packet in a tunnel or in fragments has of the one around it.
  Decoder(const DecodedPacket &around, std::span<const std::uint8_t> bytes, std::uint32_t behind,
          DecodedPacket &out)
      : out_(out), cursor_(bytes), behind_(behind) {
    out_.vlan_count = around.vlan_count;
    out_.vlans = around.vlans;
    out_.source_mac = around.source_mac;
    out_.destination_mac = around.destination_mac;
    out_.timestamp_ns = around.timestamp_ns;
    out_.direction = around.direction;
    out_.tunnels = around.tunnels;
    out_.cut = behind > 0;
  }

  Drop link(const PacketView &packet) {
    tag_ = packet.outer_tag;
    switch (packet.link) {
    case LinkType::Ethernet:
      return ethernet();
    case LinkType::Null:
    case LinkType::Loop:
      return loopback();
    case LinkType::Ppp:
      return ppp();
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

  /// What a tunnel of this kind carries.
  Drop inside(TunnelKind kind) {
    if (!out_.tunnels.add(kind)) {
      return DropReason::TooManyTunnels;
    }
    const auto content = open_tunnel_header(kind, cursor_);
    if (!content) {
      return DropReason::BadTunnelHeader;
    }
    out_.wire_length = left_on_wire();
    out_.network = content->network;
    switch (content->ether_type) {
    case ether_type::kBridged:
      return inner_ethernet();
    case ether_type::kPpp:
      return ppp();
    default:
      return by_ether_type(content->ether_type);
    }
  }

  Drop joined(const DecodedPacket &fragment, std::uint8_t protocol) {
    out_.wire_length = fragment.wire_length;
    out_.network = fragment.network;
    out_.hop_limit = fragment.hop_limit;
    out_.source.address = fragment.source.address;
    out_.destination.address = fragment.destination.address;
    out_.carrier = fragment.carrier;
    const bool plain = out_.source.address.family == IpFamily::V4 && protocol != kAuthentication;
    const auto drop = plain ? transport(protocol) : extension_headers(protocol);
    return !drop && out_.is_fragment ? DropReason::TooManyExtensions : drop; // of fragments
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
    if (tag_) {
      add_tag(tag_->control);
    }
    return by_ether_type(*type);
  }

  /// A frame in a tunnel: its own addresses and tags are the overlay's.
  Drop inner_ethernet() {
    if (!cursor_.skip(12)) {
      return DropReason::LinkTooShort;
    }
    const auto type = cursor_.be16();
    return type ? by_ether_type(*type) : DropReason::LinkTooShort;
  }

  void add_tag(std::uint16_t control) {
    const std::uint16_t id = vlan_id(control);
    if (out_.tunnels.empty()) {
      out_.vlans[out_.vlan_count++] = id;
    }
    out_.network = network_below(out_.network, id);
    ++tags_;
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
    switch (type) {
    case ether_type::kIpv4:
      return ipv4();
    case ether_type::kIpv6:
      return ipv6();
    case ether_type::kMpls:
    case ether_type::kMplsMulticast:
      return mpls();
    case ether_type::kPppoeSession:
      return pppoe();
    default:
      return is_vlan_tag(type) ? tagged(type) : DropReason::NotIp;
    }
  }

  Drop tagged(std::uint16_t type) {
    while (is_vlan_tag(type)) {
      const auto control = cursor_.be16();
      const auto inner = cursor_.be16();
      if (!control || !inner) {
        return DropReason::LinkTooShort;
      }
      if (tags_ == kMaxVlanTags) {
        return DropReason::TooManyTags;
      }
      add_tag(*control);
      type = *inner;
    }
    return by_ether_type(type);
  }

  /// RFC 3032: labels until the one marked as the last. What follows is not said: an IP packet, or
  /// (RFC 4448) a frame behind a control word, or without one.
  Drop mpls() {
    if (!out_.tunnels.add(TunnelKind::Mpls)) {
      return DropReason::TooManyTunnels;
    }
    constexpr std::uint32_t kLast = 0x100;
    for (int labels = 0;; ++labels) {
      const auto label = cursor_.be32();
      if (!label || labels == kMaxLabels) {
        return DropReason::BadTunnelHeader;
      }
      if ((*label & kLast) != 0) {
        break;
      }
    }
    const auto rest = cursor_.rest();
    if (!rest.empty() && (rest[0] >> 4 == 4 || rest[0] >> 4 == 6)) {
      return ip_by_version();
    }
    const auto has_frame_at = [&](std::size_t at) {
      ByteCursor ahead(rest);
      const auto type = ahead.skip(at + 12) ? ahead.be16().value_or(0) : std::uint16_t{0};
      return type == ether_type::kIpv4 || type == ether_type::kIpv6 || is_vlan_tag(type);
    };
    constexpr std::size_t kControlWord = 4;
    if (has_frame_at(kControlWord) && rest[0] >> 4 == 0) {
      static_cast<void>(cursor_.skip(kControlWord));
      return inner_ethernet();
    }
    return has_frame_at(0) ? inner_ethernet() : DropReason::NotIp;
  }

  /// RFC 2516, stage session.
  Drop pppoe() {
    if (!out_.tunnels.add(TunnelKind::Pppoe)) {
      return DropReason::TooManyTunnels;
    }
    const auto version_and_code = cursor_.be16();
    const auto session = cursor_.be16();
    const auto length = cursor_.be16();
    if (!version_and_code || !session || !length || *version_and_code != 0x1100) {
      return DropReason::BadTunnelHeader;
    }
    if (*length > left_on_wire()) {
      return DropReason::BadTunnelHeader;
    }
    limit(*length);
    out_.network = network_below(out_.network, *session);
    return ppp();
  }

  /// RFC 1661, 1662: address and control may stand before the protocol, which may be one byte.
  Drop ppp() {
    if (const auto rest = cursor_.rest(); rest.size() > 1 && rest[0] == 0xff && rest[1] == 3) {
      static_cast<void>(cursor_.skip(2));
    }
    const auto first = cursor_.u8();
    if (!first) {
      return DropReason::BadTunnelHeader;
    }
    unsigned protocol = *first;
    if (protocol % 2 == 0) {
      protocol = protocol << 8 | cursor_.u8().value_or(0);
    }
    return protocol == 0x21 ? ipv4() : protocol == 0x57 ? ipv6() : DropReason::NotIp;
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
    const auto flags = static_cast<std::uint16_t>(ip[6] << 8 | ip[7]);
    if ((flags & 0x3fff) != 0) {
      out_.fragment_id = static_cast<std::uint32_t>(ip[4] << 8 | ip[5]);
      return fragment(ip[9], (flags & 0x1fffU) * 8, (flags & 0x2000) != 0);
    }
    return ip[9] == kAuthentication ? extension_headers(ip[9]) : transport(ip[9]);
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
  Drop fragment(std::uint8_t protocol, std::uint32_t offset, bool more) {
    out_.protocol = protocol;
    out_.is_fragment = true;
    out_.more_fragments = more;
    out_.fragment_offset = offset;
    out_.payload = cursor_.rest();
    out_.payload_length = left_on_wire();
    return kDecoded;
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
  Drop sctp() {
    const auto header = cursor_.take(12);
    if (!header) {
      return DropReason::TransportTooShort;
    }
    out_.source.port = big16(header->subspan<0, 2>());
    out_.destination.port = big16(header->subspan<2, 2>());
    return kDecoded;
  }

  Drop udp() {
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

  DecodedPacket &out_;
  ByteCursor cursor_;
  std::uint32_t behind_ = 0;
  std::optional<VlanTag> tag_; ///< that the kernel took out of the frame
  std::uint8_t tags_ = 0;
  bool overlong_ = false;
  bool checksums_filled_ = false;
};

} // namespace

std::optional<DropReason> decode_any(const PacketView &packet, DecodedPacket &out) {
  out = DecodedPacket{};
  return Decoder(packet, out).link(packet);
}

std::optional<DropReason> decode_inner(const DecodedPacket &outer, DecodedPacket &out) {
  out = DecodedPacket{};
  const auto behind = outer.payload_length - static_cast<std::uint32_t>(outer.payload.size());
  return Decoder(outer, outer.payload, behind, out).inside(outer.tunnel);
}

std::optional<DropReason> decode_joined(const DecodedPacket &fragment, std::uint8_t protocol,
                                        std::span<const std::uint8_t> payload, DecodedPacket &out) {
  out = DecodedPacket{};
  return Decoder(fragment, payload, 0, out).joined(fragment, protocol);
}

} // namespace outguard::guest
