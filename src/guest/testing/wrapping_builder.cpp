#include "guest/testing/wrapping_builder.h"

#include <algorithm>

namespace outguard::guest {

namespace {

constexpr std::size_t kLink = 14;

void add(Bytes &out, const Bytes &more) {
  out.insert(out.end(), more.begin(), more.end());
}
void add16(Bytes &out, std::uint32_t value) {
  add(out, {static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)});
}
void add32(Bytes &out, std::uint32_t value) {
  add16(out, value >> 16);
  add16(out, value);
}
bool is_v6(const Bytes &ip) {
  return !ip.empty() && ip[0] >> 4 == 6;
}
bool is_v6_frame(const Bytes &frame) {
  return frame.at(12) == 0x86;
}
Bytes datagram(Endpoint from, Endpoint to, const Bytes &header, const Bytes &content) {
  Bytes payload = header;
  add(payload, content);
  return PacketBuilder(from, to).udp().payload(payload).build();
}
std::size_t ip_payload_size(const Bytes &frame) {
  return frame.size() - kLink - (is_v6_frame(frame) ? 40 : 20);
}

} // namespace

Bytes ethernet(std::uint16_t ether_type, const Bytes &content) {
  Bytes out{0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1};
  add16(out, ether_type);
  add(out, content);
  return out;
}

Bytes in_mpls(const std::vector<std::uint32_t> &labels, const Bytes &content) {
  Bytes out;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    add32(out, labels[i] << 12 | (i + 1 == labels.size() ? 0x100U : 0U) | 64U);
  }
  add(out, content);
  return ethernet(0x8847, out);
}

Bytes in_pppoe(std::uint16_t session, const Bytes &ip) {
  Bytes out{0x11, 0};
  add16(out, session);
  add16(out, static_cast<std::uint32_t>(ip.size() + 2));
  add16(out, is_v6(ip) ? 0x57 : 0x21);
  add(out, ip);
  return ethernet(0x8864, out);
}

Bytes in_ip(Endpoint from, Endpoint to, const Bytes &ip) {
  return PacketBuilder(from, to).protocol(is_v6(ip) ? 41 : 4).payload(ip).build();
}

Bytes in_gre(Endpoint from, Endpoint to, std::uint16_t flags, std::uint16_t ether_type,
             const Bytes &content, std::uint32_t key) {
  Bytes out;
  add16(out, flags);
  add16(out, ether_type);
  if ((flags & 0x8000) != 0) {
    add32(out, 0);
  }
  if ((flags & 0x2000) != 0) {
    add32(out, key);
  }
  if ((flags & 0x1000) != 0) {
    add32(out, 1);
  }
  add(out, content);
  return PacketBuilder(from, to).protocol(47).payload(out).build();
}

Bytes in_vxlan(Endpoint from, Endpoint to, std::uint32_t network, const Bytes &frame) {
  Bytes header{8, 0, 0, 0};
  add32(header, network << 8);
  return datagram(from, to, header, frame);
}

Bytes in_geneve(Endpoint from, Endpoint to, std::uint32_t network, const Bytes &options,
                std::uint16_t ether_type, const Bytes &content) {
  Bytes header{static_cast<std::uint8_t>(options.size() / 4), 0};
  add16(header, ether_type);
  add32(header, network << 8);
  add(header, options);
  return datagram(from, to, header, content);
}

Bytes in_teredo(Endpoint from, Endpoint to, const Bytes &ip, bool indicators) {
  Bytes header;
  if (indicators) {
    header = {0, 1, 1, 2, 'i', 'a', 'b'};
    header.resize(header.size() + 9); // nonce and confirmation
    add(header, {0, 0, 1, 2, 3, 4, 5, 6});
  }
  return datagram(from, to, header, ip);
}

Bytes fragment_of(const Bytes &frame, std::size_t offset, std::size_t end, std::uint32_t id) {
  const bool v6 = is_v6_frame(frame);
  const std::size_t payload = kLink + (v6 ? 40 : 20);
  end = std::min(end, ip_payload_size(frame));
  const bool more = end < ip_payload_size(frame);
  Bytes out(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(payload));
  const auto set16 = [&](std::size_t at, std::size_t value) {
    out.at(kLink + at) = static_cast<std::uint8_t>(value >> 8);
    out.at(kLink + at + 1) = static_cast<std::uint8_t>(value);
  };
  if (v6) {
    set16(4, 8 + end - offset);
    add(out, {out.at(kLink + 6), 0});
    add16(out, static_cast<std::uint32_t>(offset | (more ? 1U : 0U)));
    add32(out, id);
    out.at(kLink + 6) = 44;
  } else {
    set16(2, 20 + end - offset);
    set16(4, id);
    set16(6, offset / 8 | (more ? 0x2000U : 0U));
  }
  out.insert(out.end(), frame.begin() + static_cast<std::ptrdiff_t>(payload + offset),
             frame.begin() + static_cast<std::ptrdiff_t>(payload + end));
  return out;
}

std::vector<Bytes> in_fragments(const Bytes &frame, std::size_t part, std::uint32_t id) {
  std::vector<Bytes> all;
  for (std::size_t at = 0; at < ip_payload_size(frame); at += part) {
    all.push_back(fragment_of(frame, at, at + part, id));
  }
  return all;
}

} // namespace outguard::guest
