#include "guest/packets/plain_packet.h"

#include <cstring>

#include "guest/packets/tunnel_header.h"
#include "guest/packets/wire_fields.h"

namespace outguard::guest {

namespace {

using ByteSpan = std::span<const std::uint8_t>;

constexpr std::size_t kEthernet = 14;
constexpr std::size_t kTag = 4;
constexpr std::size_t kIpv4 = 20;
constexpr std::size_t kIpv6 = 40;
constexpr std::size_t kTcp = 20;
constexpr std::size_t kUdp = 8;
/// Once this is there, only IPv6 and lengths that headers claim are to be checked.
constexpr std::size_t kLeast = kEthernet + kTag + kIpv4 + kUdp;

template <std::size_t Count, std::size_t Room>
void copy(std::span<const std::uint8_t, Count> from, std::array<std::uint8_t, Room> &to) {
  static_assert(Count <= Room);
  std::memcpy(to.data(), from.data(), Count); // std::copy_n calls memmove for six bytes
}

template <std::size_t Count>
inline void set_address(std::span<const std::uint8_t, Count> octets, IpAddress &address) {
  address.family = Count == 4 ? IpFamily::V4 : IpFamily::V6;
  std::memset(address.bytes.data() + Count, 0, address.bytes.size() - Count);
  copy(octets, address.bytes);
}

/// Returns what the frame carries, and its type.
ByteSpan ethernet(ByteSpan bytes, const std::optional<VlanTag> &outer_tag, DecodedPacket &out,
                  std::uint16_t &type) {
  const auto frame = bytes.first<kEthernet + kTag>();
  copy(frame.subspan<0, 6>(), out.destination_mac);
  copy(frame.subspan<6, 6>(), out.source_mac);
  type = big16(frame.subspan<12, 2>());
  const bool is_tagged = !outer_tag && is_vlan_tag(type);
  if (is_tagged || outer_tag) {
    const auto control = is_tagged ? big16(frame.subspan<kEthernet, 2>()) : outer_tag->control;
    out.vlan_count = 1;
    out.vlans[0] = vlan_id(control);
    out.network = network_below(0, out.vlans[0]);
  }
  if (!is_tagged) {
    return bytes.subspan(kEthernet);
  }
  type = big16(frame.subspan<kEthernet + 2, 2>());
  return bytes.subspan(kEthernet + kTag);
}

/// Returns what the packet carries; nothing: it is none of ours.
ByteSpan ipv4(ByteSpan bytes, DecodedPacket &out) {
  const auto header = bytes.first<kIpv4>();
  constexpr std::uint8_t kVersionAndLength = 0x45;
  constexpr std::uint16_t kFragment = 0x3fff;
  const std::size_t total = big16(header.subspan<2, 2>());
  if (header[0] != kVersionAndLength || (big16(header.subspan<6, 2>()) & kFragment) != 0 ||
      total < kIpv4 || total > bytes.size()) {
    return {};
  }
  out.hop_limit = header[8];
  out.protocol = header[9];
  set_address(header.subspan<12, 4>(), out.source.address);
  set_address(header.subspan<16, 4>(), out.destination.address);
  return bytes.subspan(kIpv4, total - kIpv4);
}

ByteSpan ipv6(ByteSpan bytes, DecodedPacket &out) {
  if (bytes.size() < kIpv6) {
    return {};
  }
  const auto header = bytes.first<kIpv6>();
  const std::size_t length = big16(header.subspan<4, 2>());
  if (header[0] >> 4 != 6 || length > bytes.size() - kIpv6) {
    return {};
  }
  out.protocol = header[6];
  out.hop_limit = header[7];
  set_address(header.subspan<8, 16>(), out.source.address);
  set_address(header.subspan<24, 16>(), out.destination.address);
  return bytes.subspan(kIpv6, length); // 0 is a jumbogram's: none of ours
}

bool tcp(ByteSpan segment, bool checksum_filled, DecodedPacket &out) {
  if (segment.size() < kTcp) {
    return false;
  }
  const auto header = segment.first<kTcp>();
  const std::size_t length = std::size_t{4} * (header[12] >> 4);
  if (length < kTcp || length > segment.size()) {
    return false;
  }
  out.source.port = big16(header.subspan<0, 2>());
  out.destination.port = big16(header.subspan<2, 2>());
  out.sequence = big32(header.subspan<4, 4>());
  out.acknowledgment = big32(header.subspan<8, 4>());
  out.tcp_flags = header[13];
  out.window = big16(header.subspan<14, 2>());
  out.checked_header = static_cast<std::uint8_t>(checksum_filled ? length : 0);
  out.payload = segment.subspan(length);
  return true;
}

bool udp(ByteSpan datagram, DecodedPacket &out) {
  if (datagram.size() < kUdp) {
    return false;
  }
  const auto header = datagram.first<kUdp>();
  const std::size_t length = big16(header.subspan<4, 2>());
  if (length < kUdp || length > datagram.size()) {
    return false;
  }
  out.source.port = big16(header.subspan<0, 2>());
  out.destination.port = big16(header.subspan<2, 2>());
  out.sequence = 0;
  out.acknowledgment = 0;
  out.tcp_flags = 0;
  out.window = 0;
  out.checked_header = 0;
  out.payload = datagram.subspan(kUdp, length - kUdp);
  out.tunnel = tunnel_of_datagram(out.source.port, out.destination.port, out.payload);
  return true;
}

bool transport(ByteSpan bytes, const PacketView &packet, DecodedPacket &out) {
  switch (static_cast<IpProtocol>(out.protocol)) {
  case IpProtocol::Tcp:
    return tcp(bytes, packet.checksums_filled && packet.direction == FlowDirection::ToRemote, out);
  case IpProtocol::Udp:
    return udp(bytes, out);
  default:
    return false;
  }
}

} // namespace

bool decode_plain(const PacketView &packet, DecodedPacket &out) {
  const ByteSpan bytes = packet.bytes; // a copy: what is written to `out` cannot change it
  if (packet.link != LinkType::Ethernet || bytes.size() < kLeast ||
      packet.original_length > bytes.size()) {
    return false;
  }
  static_cast<UnusualFields &>(out) = {};
  std::uint16_t type = 0;
  const auto carried = ethernet(bytes, packet.outer_tag, out, type);
  const auto segment = type == ether_type::kIpv4   ? ipv4(carried, out)
                       : type == ether_type::kIpv6 ? ipv6(carried, out)
                                                   : ByteSpan{};
  if (!transport(segment, packet, out)) {
    return false;
  }
  out.payload_length = static_cast<std::uint32_t>(out.payload.size());
  out.wire_length = static_cast<std::uint32_t>(bytes.size());
  out.timestamp_ns = packet.timestamp_ns;
  out.direction = packet.direction;
  return true;
}

} // namespace outguard::guest
