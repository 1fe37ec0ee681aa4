#include "guest/testing/packet_builder.h"

#include <cstdlib>
#include <utility>

namespace outguard::guest {

namespace {

constexpr std::uint8_t kTcp = static_cast<std::uint8_t>(IpProtocol::Tcp);
constexpr std::uint8_t kUdp = static_cast<std::uint8_t>(IpProtocol::Udp);
constexpr std::uint8_t kIcmp = static_cast<std::uint8_t>(IpProtocol::Icmp);
constexpr std::uint8_t kIcmpv6 = static_cast<std::uint8_t>(IpProtocol::Icmpv6);
constexpr std::uint8_t kFin = 0x01;
constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kRst = 0x04;
constexpr std::uint8_t kAck = 0x10;

void add8(Bytes &out, std::uint64_t value) {
  out.push_back(static_cast<std::uint8_t>(value));
}
void add16(Bytes &out, std::uint64_t value) {
  add8(out, value >> 8);
  add8(out, value);
}
void add32(Bytes &out, std::uint64_t value) {
  add16(out, value >> 16);
  add16(out, value);
}
template <class Range> void add(Bytes &out, const Range &bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}
void set16(Bytes &out, std::size_t at, std::uint16_t value) {
  out.at(at) = static_cast<std::uint8_t>(value >> 8);
  out.at(at + 1) = static_cast<std::uint8_t>(value);
}

/// RFC 1071, over any number of parts that each have an even length but the last.
std::uint16_t checksum(std::initializer_list<std::span<const std::uint8_t>> parts) {
  std::uint64_t sum = 0;
  for (const auto part : parts) {
    for (std::size_t i = 0; i < part.size(); ++i) {
      sum += i % 2 == 0 ? std::uint64_t{part[i]} << 8 : part[i];
    }
  }
  while (sum >> 16 != 0) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(~sum);
}

} // namespace

Bytes bytes_of(std::string_view text) {
  return {text.begin(), text.end()};
}

Endpoint endpoint(std::string_view text) {
  const auto parsed = Endpoint::parse(text);
  if (!parsed) {
    std::abort();
  }
  return *parsed;
}

PacketBuilder::PacketBuilder(Endpoint source, Endpoint destination)
    : source_(source), destination_(destination) {}

PacketBuilder &PacketBuilder::macs(MacAddress source, MacAddress destination) {
  source_mac_ = source;
  destination_mac_ = destination;
  return *this;
}
PacketBuilder &PacketBuilder::vlan(std::uint16_t id, std::uint16_t protocol) {
  tags_.push_back({id, protocol});
  return *this;
}
PacketBuilder &PacketBuilder::ether_type(std::uint16_t type) {
  ether_type_ = type;
  return *this;
}
PacketBuilder &PacketBuilder::without_link() {
  link_ = false;
  return *this;
}
PacketBuilder &PacketBuilder::hop_limit(std::uint8_t value) {
  hop_limit_ = value;
  return *this;
}
PacketBuilder &PacketBuilder::ip_options(Bytes options) {
  ip_options_ = std::move(options);
  return *this;
}
PacketBuilder &PacketBuilder::extension(std::uint8_t type, Bytes body) {
  extensions_.push_back({type, std::move(body)});
  return *this;
}
PacketBuilder &PacketBuilder::ipv4_fragment(std::uint16_t offset, bool more) {
  fragment_ = static_cast<std::uint16_t>((more ? 0x2000 : 0) | offset / 8);
  return *this;
}
PacketBuilder &PacketBuilder::tcp(std::uint8_t flags, std::uint32_t sequence,
                                  std::uint32_t acknowledgment) {
  protocol_ = kTcp;
  flags_ = flags;
  sequence_ = sequence;
  acknowledgment_ = acknowledgment;
  return *this;
}
PacketBuilder &PacketBuilder::tcp_options(Bytes options) {
  tcp_options_ = std::move(options);
  return *this;
}
PacketBuilder &PacketBuilder::udp() {
  return protocol(kUdp);
}
PacketBuilder &PacketBuilder::icmp(std::uint8_t type, std::uint8_t code) {
  icmp_type_ = type;
  icmp_code_ = code;
  return protocol(source_.address.family == IpFamily::V4 ? kIcmp : kIcmpv6);
}
PacketBuilder &PacketBuilder::protocol(std::uint8_t number) {
  protocol_ = number;
  return *this;
}
PacketBuilder &PacketBuilder::payload(Bytes bytes) {
  payload_ = std::move(bytes);
  return *this;
}
PacketBuilder &PacketBuilder::payload(std::string_view text) {
  return payload(bytes_of(text));
}

PacketBuilder &PacketBuilder::claim_ip_length(std::uint16_t value) {
  ip_length_ = value;
  return *this;
}
PacketBuilder &PacketBuilder::claim_ip_version(std::uint8_t value) {
  ip_version_ = value;
  return *this;
}
PacketBuilder &PacketBuilder::claim_ipv4_header_words(std::uint8_t value) {
  ipv4_words_ = value;
  return *this;
}
PacketBuilder &PacketBuilder::claim_tcp_header_words(std::uint8_t value) {
  tcp_words_ = value;
  return *this;
}
PacketBuilder &PacketBuilder::claim_udp_length(std::uint16_t value) {
  udp_length_ = value;
  return *this;
}
PacketBuilder &PacketBuilder::leave_checksums() {
  checksums_ = false;
  return *this;
}
PacketBuilder &PacketBuilder::trailer(std::size_t count) {
  trailer_ = count;
  return *this;
}

Bytes PacketBuilder::transport() const {
  Bytes out;
  std::size_t checksum_at = 0;
  if (protocol_ == kTcp) {
    add16(out, source_.port);
    add16(out, destination_.port);
    add32(out, sequence_);
    add32(out, acknowledgment_);
    add8(out,
         std::uint64_t{tcp_words_.value_or(static_cast<std::uint8_t>(5 + tcp_options_.size() / 4))}
             << 4);
    add8(out, flags_);
    add16(out, 64240);
    add32(out, 0);
    add(out, tcp_options_);
    checksum_at = 16;
  } else if (protocol_ == kUdp) {
    add16(out, source_.port);
    add16(out, destination_.port);
    add16(out, udp_length_.value_or(static_cast<std::uint16_t>(8 + payload_.size())));
    add16(out, 0);
    checksum_at = 6;
  } else if (protocol_ == kIcmp || protocol_ == kIcmpv6) {
    add8(out, icmp_type_);
    add8(out, icmp_code_);
    add16(out, 0);
    checksum_at = 2;
  }
  add(out, payload_);
  if (checksums_ && checksum_at != 0) {
    Bytes pseudo;
    if (protocol_ != kIcmp) {
      add(pseudo, source_.address.octets());
      add(pseudo, destination_.address.octets());
      add32(pseudo, out.size());
      add32(pseudo, protocol_);
    }
    set16(out, checksum_at, checksum({pseudo, out}));
  }
  return out;
}

void PacketBuilder::add_ipv4(Bytes &out, std::size_t length) const {
  const std::size_t start = out.size();
  const std::size_t words = 5 + ip_options_.size() / 4;
  add8(out, std::uint64_t{ip_version_.value_or(4)} << 4 |
                ipv4_words_.value_or(static_cast<std::uint8_t>(words)));
  add8(out, 0);
  add16(out, ip_length_.value_or(static_cast<std::uint16_t>(words * 4 + length)));
  add16(out, 0x1234);
  add16(out, fragment_);
  add8(out, hop_limit_);
  add8(out, protocol_);
  add16(out, 0);
  add(out, source_.address.octets());
  add(out, destination_.address.octets());
  add(out, ip_options_);
  if (checksums_) {
    set16(out, start + 10, checksum({std::span(out).subspan(start)}));
  }
}

void PacketBuilder::add_ipv6(Bytes &out, std::size_t length) const {
  for (const Extension &one : extensions_) {
    length += 2 + one.body.size();
  }
  add32(out, std::uint64_t{ip_version_.value_or(6)} << 28);
  add16(out, ip_length_.value_or(static_cast<std::uint16_t>(length)));
  add8(out, extensions_.empty() ? protocol_ : extensions_.front().type);
  add8(out, hop_limit_);
  add(out, source_.address.octets());
  add(out, destination_.address.octets());
  for (std::size_t i = 0; i < extensions_.size(); ++i) {
    const Extension &one = extensions_[i];
    add8(out, i + 1 < extensions_.size() ? extensions_[i + 1].type : protocol_);
    const std::size_t size = 2 + one.body.size();
    add8(out, one.type == 51 ? size / 4 - 2 : one.type == 44 ? 0 : size / 8 - 1);
    add(out, one.body);
  }
}

Bytes PacketBuilder::network() const {
  const Bytes inner = transport();
  Bytes out;
  if (source_.address.family == IpFamily::V4) {
    add_ipv4(out, inner.size());
  } else {
    add_ipv6(out, inner.size());
  }
  add(out, inner);
  return out;
}

Bytes PacketBuilder::build() const {
  Bytes out;
  if (link_) {
    add(out, destination_mac_);
    add(out, source_mac_);
    for (const Tag &tag : tags_) {
      add16(out, tag.protocol);
      add16(out, tag.id);
    }
    add16(out, ether_type_.value_or(source_.address.family == IpFamily::V4 ? 0x0800 : 0x86dd));
  }
  add(out, network());
  out.resize(out.size() + trailer_, 0);
  return out;
}

TcpTalk::TcpTalk(Endpoint client, Endpoint server, std::uint32_t client_isn,
                 std::uint32_t server_isn)
    : client_(client), server_(server), client_next_(client_isn), server_next_(server_isn) {}

PacketBuilder TcpTalk::client_packet(std::uint8_t flags) const {
  return PacketBuilder(client_, server_).tcp(flags, client_next_, server_next_);
}
PacketBuilder TcpTalk::server_packet(std::uint8_t flags) const {
  return PacketBuilder(server_, client_).tcp(flags, server_next_, client_next_);
}

Bytes TcpTalk::syn() {
  auto packet = client_packet(kSyn).build();
  ++client_next_;
  return packet;
}
Bytes TcpTalk::syn_ack() {
  auto packet = server_packet(kSyn | kAck).build();
  ++server_next_;
  return packet;
}
Bytes TcpTalk::from_client(Bytes data) {
  const auto size = static_cast<std::uint32_t>(data.size());
  auto packet = client_packet(kAck).payload(std::move(data)).build();
  client_next_ += size;
  return packet;
}
Bytes TcpTalk::from_server(Bytes data) {
  const auto size = static_cast<std::uint32_t>(data.size());
  auto packet = server_packet(kAck).payload(std::move(data)).build();
  server_next_ += size;
  return packet;
}
Bytes TcpTalk::client_at(std::int64_t ahead, Bytes data) const {
  return PacketBuilder(client_, server_)
      .tcp(kAck, client_next_ + static_cast<std::uint32_t>(ahead), server_next_)
      .payload(std::move(data))
      .build();
}
Bytes TcpTalk::client_fin() {
  auto packet = client_packet(kFin | kAck).build();
  ++client_next_;
  return packet;
}
Bytes TcpTalk::server_fin() {
  auto packet = server_packet(kFin | kAck).build();
  ++server_next_;
  return packet;
}
Bytes TcpTalk::client_rst() const {
  return client_packet(kRst).build();
}

} // namespace outguard::guest
