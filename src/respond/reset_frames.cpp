#include "respond/reset_frames.h"

#include <algorithm>
#include <span>

#include "base/internet_checksum.h"

namespace outguard::respond {

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint16_t kTypeVlan = 0x8100;
constexpr std::uint16_t kTypeQinq = 0x88a8;
constexpr std::uint16_t kTypeIpv4 = 0x0800;
constexpr std::uint16_t kTypeIpv6 = 0x86dd;
constexpr std::size_t kEthernetBytes = 14;
constexpr std::size_t kVlanBytes = 4;
constexpr std::uint8_t kHops = 64;

void put16(Bytes &out, std::uint32_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}
void put32(Bytes &out, std::uint32_t value) {
  put16(out, value >> 16);
  put16(out, value & 0xffff);
}
void append(Bytes &out, std::span<const std::uint8_t> more) {
  out.insert(out.end(), more.begin(), more.end());
}

void put_checksum(Bytes &bytes, std::size_t at, std::uint64_t sum) {
  const auto checksum = static_cast<std::uint16_t>(~fold_sum(sum));
  bytes[at] = static_cast<std::uint8_t>(checksum >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(checksum);
}

std::uint64_t pseudo_header(const Endpoint &from, const Endpoint &to, std::uint8_t protocol,
                            std::size_t length) {
  const std::uint64_t sum = add_words(from.address.octets());
  return add_words(to.address.octets(), sum) + protocol + length;
}

Bytes ip_packet(const Endpoint &from, const Endpoint &to, std::uint8_t protocol,
                std::span<const std::uint8_t> payload) {
  Bytes out;
  if (from.address.family == IpFamily::V4) {
    constexpr std::uint32_t kHeaderBytes = 20;
    out = {0x45, 0};
    put16(out, kHeaderBytes + static_cast<std::uint32_t>(payload.size()));
    put32(out, 0x4000); // no identification, do not fragment
    out.push_back(kHops);
    out.push_back(protocol);
    put16(out, 0);
    append(out, from.address.octets());
    append(out, to.address.octets());
    put_checksum(out, 10, add_words(out));
  } else {
    put32(out, 0x60000000);
    put16(out, static_cast<std::uint32_t>(payload.size()));
    out.push_back(protocol);
    out.push_back(kHops);
    append(out, from.address.octets());
    append(out, to.address.octets());
  }
  append(out, payload);
  return out;
}

Frame ethernet(const FlowSeen &flow, Toward toward, std::span<const std::uint8_t> packet) {
  Frame frame;
  append(frame, toward == Toward::Guest ? flow.guest_mac : flow.remote_mac);
  append(frame, toward == Toward::Guest ? flow.remote_mac : flow.guest_mac);
  for (std::size_t i = 0; i < flow.vlans.size(); ++i) {
    put16(frame, i + 1 < flow.vlans.size() ? kTypeQinq : kTypeVlan);
    put16(frame, flow.vlans[i] & 0x0fffU);
  }
  put16(frame, flow.tuple.local.address.family == IpFamily::V4 ? kTypeIpv4 : kTypeIpv6);
  append(frame, packet);
  return frame;
}

Bytes udp_datagram(const Endpoint &from, const Endpoint &to) {
  constexpr std::uint32_t kBytes = 8;
  Bytes udp;
  put16(udp, from.port);
  put16(udp, to.port);
  put16(udp, kBytes);
  put16(udp, 0);
  const auto protocol = static_cast<std::uint8_t>(IpProtocol::Udp);
  put_checksum(udp, 6, add_words(udp, pseudo_header(from, to, protocol, kBytes)));
  if (udp[6] == 0 && udp[7] == 0) {
    udp[6] = udp[7] = 0xff; // 0 would mean "no checksum"
  }
  return udp;
}

} // namespace

std::optional<Frame> tcp_reset(const FlowSeen &flow, const TcpPosition &position, Toward toward) {
  const bool to_guest = toward == Toward::Guest;
  const bool sequence_known = to_guest ? position.remote_known : position.guest_known;
  const bool sender_known = to_guest ? position.guest_known : position.remote_known;
  // In SYN-SENT the guest looks at the acknowledgement only; without either there is nothing to
  // say.
  const bool unanswered = to_guest && !sequence_known && sender_known;
  if (!sequence_known && !unanswered) {
    return std::nullopt;
  }
  const Endpoint &from = to_guest ? flow.tuple.remote : flow.tuple.local;
  const Endpoint &to = to_guest ? flow.tuple.local : flow.tuple.remote;
  const std::uint32_t sequence = to_guest ? position.remote_next : position.guest_next;
  const std::uint32_t acknowledged = to_guest ? position.guest_next : position.remote_next;
  constexpr std::uint32_t kReset = 0x04;
  constexpr std::uint32_t kAck = 0x10;
  Bytes tcp;
  put16(tcp, from.port);
  put16(tcp, to.port);
  put32(tcp, sequence_known ? sequence : 0);
  put32(tcp, sender_known ? acknowledged : 0);
  put16(tcp, 5U << 12 | kReset | (sender_known ? kAck : 0)); // header of five words
  put32(tcp, 0);                                             // window, checksum
  put16(tcp, 0);
  const auto protocol = static_cast<std::uint8_t>(IpProtocol::Tcp);
  put_checksum(tcp, 16, add_words(tcp, pseudo_header(from, to, protocol, tcp.size())));
  return ethernet(flow, toward, ip_packet(from, to, protocol, tcp));
}

Frame port_unreachable(const FlowSeen &flow) {
  const Endpoint &remote = flow.tuple.remote;
  const Endpoint &guest = flow.tuple.local;
  const bool v4 = guest.address.family == IpFamily::V4;
  const auto protocol = static_cast<std::uint8_t>(v4 ? IpProtocol::Icmp : IpProtocol::Icmpv6);
  // It quotes a datagram of the guest: the addresses and ports are all that the guest looks at.
  const Bytes quoted = ip_packet(guest, remote, static_cast<std::uint8_t>(IpProtocol::Udp),
                                 udp_datagram(guest, remote));
  Bytes icmp;
  put16(icmp, v4 ? 0x0303 : 0x0104); // destination unreachable, port
  put16(icmp, 0);
  put32(icmp, 0);
  append(icmp, quoted);
  put_checksum(icmp, 2,
               add_words(icmp, v4 ? 0 : pseudo_header(remote, guest, protocol, icmp.size())));
  return ethernet(flow, Toward::Guest, ip_packet(remote, guest, protocol, icmp));
}

Frame empty_datagram(const FlowSeen &flow) {
  return ethernet(flow, Toward::Guest,
                  ip_packet(flow.tuple.remote, flow.tuple.local,
                            static_cast<std::uint8_t>(IpProtocol::Udp),
                            udp_datagram(flow.tuple.remote, flow.tuple.local)));
}

std::vector<std::uint8_t> network_layer(const FlowSeen &flow, const Frame &frame) {
  const std::size_t link = kEthernetBytes + kVlanBytes * flow.vlans.size();
  return {frame.begin() + static_cast<std::ptrdiff_t>(std::min(link, frame.size())), frame.end()};
}

} // namespace outguard::respond
