#include "guest/packets/tunnel_header.h"

namespace outguard::guest {

namespace {

constexpr std::uint16_t kVxlanPort = 4789;
constexpr std::uint16_t kOldVxlanPort = 8472; ///< Linux's own until told otherwise
constexpr std::uint16_t kGenevePort = 6081;
constexpr std::uint16_t kTeredoPort = 3544;
constexpr std::uint16_t kGrePort = 4754; // RFC 8086; 4755 is within DTLS

using Content = std::optional<TunnelContent>;

Content gre(ByteCursor &cursor) {
  constexpr std::uint16_t kChecksum = 0x8000, kRouting = 0x4000, kKey = 0x2000, kSequence = 0x1000;
  constexpr std::uint16_t kAcknowledgment = 0x0080; // version 1 only
  const auto flags = cursor.be16();
  const auto type = cursor.be16();
  if (!flags || !type) {
    return std::nullopt;
  }
  const unsigned version = *flags & 7U;
  const bool pptp = version == 1 && *type == ether_type::kPpp && (*flags & kKey) != 0;
  if ((version != 0 && !pptp) || (*flags & kRouting) != 0) {
    return std::nullopt;
  }
  TunnelContent content{*type, 0};
  if ((*flags & kChecksum) != 0 && !cursor.skip(4)) {
    return std::nullopt;
  }
  if ((*flags & kKey) != 0) {
    const auto key = cursor.be32();
    if (!key) {
      return std::nullopt;
    }
    // NVGRE's subnet id. Other keys may differ by direction, as PPTP's call ids do.
    content.network = *type == ether_type::kBridged ? *key >> 8 : 0;
  }
  const std::size_t rest =
      ((*flags & kSequence) != 0 ? 4U : 0U) + (pptp && (*flags & kAcknowledgment) != 0 ? 4U : 0U);
  return cursor.skip(rest) ? Content(content) : std::nullopt;
}

Content ip_in_ip(const ByteCursor &cursor) {
  if (cursor.at_end()) {
    return std::nullopt;
  }
  switch (cursor.rest()[0] >> 4) {
  case 4:
    return TunnelContent{ether_type::kIpv4, 0};
  case 6:
    return TunnelContent{ether_type::kIpv6, 0};
  default:
    return std::nullopt;
  }
}

Content vxlan(ByteCursor &cursor) {
  constexpr std::uint32_t kHasNetwork = 0x08000000;
  const auto flags = cursor.be32();
  const auto network = cursor.be32();
  if (!flags || !network || (*flags & kHasNetwork) == 0) {
    return std::nullopt;
  }
  return TunnelContent{ether_type::kBridged, *network >> 8};
}

Content geneve(ByteCursor &cursor) {
  const auto first = cursor.be16();
  const auto type = cursor.be16();
  const auto network = cursor.be32();
  if (!first || !type || !network || *first >> 14 != 0) {
    return std::nullopt;
  }
  const std::size_t options = std::size_t{*first >> 8 & 0x3fU} * 4;
  return cursor.skip(options) ? Content({*type, *network >> 8}) : std::nullopt;
}

Content teredo(ByteCursor &cursor) {
  constexpr std::uint16_t kAuthentication = 1, kOrigin = 0;
  if (ByteCursor ahead = cursor; ahead.be16().value_or(0xffff) == kAuthentication) {
    const auto id = ahead.u8();
    const auto value = ahead.u8();
    if (!id || !value || !ahead.skip(std::size_t{*id} + *value + 9)) {
      return std::nullopt;
    }
    cursor = ahead;
  }
  if (ByteCursor ahead = cursor; ahead.be16().value_or(0xffff) == kOrigin) {
    if (!ahead.skip(6)) {
      return std::nullopt;
    }
    cursor = ahead;
  }
  if (cursor.at_end() || cursor.rest()[0] >> 4 != 6) {
    return std::nullopt;
  }
  return TunnelContent{ether_type::kIpv6, 0};
}

/// An IPv6 packet of exactly this length to or from 2001::/32.
bool is_plain_teredo(std::span<const std::uint8_t> payload) {
  constexpr std::size_t kHeader = 40;
  if (payload.size() < kHeader || payload[0] >> 4 != 6 ||
      (std::size_t{payload[4]} << 8 | payload[5]) + kHeader != payload.size()) {
    return false;
  }
  const auto is_teredo = [&](std::size_t at) {
    return payload[at] == 0x20 && payload[at + 1] == 1 && payload[at + 2] == 0 &&
           payload[at + 3] == 0;
  };
  return is_teredo(8) || is_teredo(24);
}

} // namespace

TunnelKind tunnel_of_protocol(std::uint8_t protocol) {
  switch (protocol) {
  case 4:
  case 41:
    return TunnelKind::IpInIp;
  case 47:
    return TunnelKind::Gre;
  default:
    return TunnelKind::None;
  }
}

TunnelKind tunnel_of_datagram(std::uint16_t source_port, std::uint16_t destination_port,
                              std::span<const std::uint8_t> payload) {
  switch (destination_port) { // a VXLAN or GENEVE sender's port is any
  case kVxlanPort:
  case kOldVxlanPort:
    return TunnelKind::Vxlan;
  case kGenevePort:
    return TunnelKind::Geneve;
  case kTeredoPort:
    return TunnelKind::Teredo;
  case kGrePort:
    return TunnelKind::Gre;
  default:
    return source_port == kTeredoPort || is_plain_teredo(payload) ? TunnelKind::Teredo
                                                                  : TunnelKind::None;
  }
}

std::optional<TunnelContent> open_tunnel_header(TunnelKind kind, ByteCursor &cursor) {
  switch (kind) {
  case TunnelKind::Gre:
    return gre(cursor);
  case TunnelKind::IpInIp:
    return ip_in_ip(cursor);
  case TunnelKind::Vxlan:
    return vxlan(cursor);
  case TunnelKind::Geneve:
    return geneve(cursor);
  case TunnelKind::Teredo:
    return teredo(cursor);
  case TunnelKind::None:
  case TunnelKind::Mpls:
  case TunnelKind::Pppoe:
    break;
  }
  return std::nullopt;
}

} // namespace outguard::guest
