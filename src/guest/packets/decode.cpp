#include "guest/packets/decode.h"

#include <algorithm>

#include "guest/packets/ip_decoder.h"
#include "guest/packets/tunnel_header.h"
#include "guest/packets/wire_fields.h"

namespace outguard::guest {

namespace {

/// One packet on its way through what is below IP, and tunnels.
class Decoder : private IpDecoder {
public:
  Decoder(const PacketView &packet, DecodedPacket &out)
      : IpDecoder(packet.bytes, behind(packet),
                  packet.checksums_filled && packet.direction == FlowDirection::ToRemote, out) {
    out_.wire_length = left_on_wire();
    out_.cut = behind(packet) > 0;
    out_.timestamp_ns = packet.timestamp_ns;
    out_.direction = packet.direction;
  }
  /// What a packet in a tunnel or in fragments has of the one around it.
  Decoder(const DecodedPacket &around, std::span<const std::uint8_t> bytes, std::uint32_t behind,
          DecodedPacket &out)
      : IpDecoder(bytes, behind, false, out) {
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
    const auto drop = behind_ip(protocol);
    return !drop && out_.is_fragment ? DropReason::TooManyExtensions : drop; // of fragments
  }

private:
  static std::uint32_t behind(const PacketView &packet) {
    const auto captured = static_cast<std::uint32_t>(packet.bytes.size());
    return std::max(packet.original_length, captured) - captured;
  }

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

  std::optional<VlanTag> tag_; ///< that the kernel took out of the frame
  std::uint8_t tags_ = 0;
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
