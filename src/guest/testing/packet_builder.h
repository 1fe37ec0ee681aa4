#pragma once
// Builds frames for tests and fuzz seeds: right ones by default, with every length and checksum
// filled in, and wrong ones where a test says what to falsify. Deterministic.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "facts/flow_seen.h"

namespace outguard::guest {

using Bytes = std::vector<std::uint8_t>;

[[nodiscard]] Bytes bytes_of(std::string_view text);
/// Aborts on text that is no endpoint: tests write literals.
[[nodiscard]] Endpoint endpoint(std::string_view text);

class PacketBuilder {
public:
  /// From `source` to `destination`, of one family; ports 0 for protocols without.
  PacketBuilder(Endpoint source, Endpoint destination);

  PacketBuilder &macs(MacAddress source, MacAddress destination);
  /// Outer tag first.
  PacketBuilder &vlan(std::uint16_t id, std::uint16_t protocol = 0x8100);
  PacketBuilder &ether_type(std::uint16_t type);
  /// No link header at all (LINKTYPE_RAW).
  PacketBuilder &without_link();
  PacketBuilder &hop_limit(std::uint8_t value);
  /// IPv4 options, a multiple of four bytes.
  PacketBuilder &ip_options(Bytes options);
  /// An IPv6 extension header: `body` is what follows next-header and length; 6 + 8n bytes (a
  /// fragment header is 44 with 6 bytes). Outer first.
  PacketBuilder &extension(std::uint8_t type, Bytes body);
  PacketBuilder &ipv4_fragment(std::uint16_t offset, bool more);

  PacketBuilder &tcp(std::uint8_t flags, std::uint32_t sequence, std::uint32_t acknowledgment = 0);
  PacketBuilder &tcp_options(Bytes options);
  PacketBuilder &udp();
  PacketBuilder &icmp(std::uint8_t type, std::uint8_t code);
  PacketBuilder &protocol(std::uint8_t number); ///< any other one: payload only
  PacketBuilder &payload(Bytes bytes);
  PacketBuilder &payload(std::string_view text);

  // Falsehoods.
  PacketBuilder &claim_ip_length(std::uint16_t value); ///< IPv4 total, IPv6 payload
  PacketBuilder &claim_ip_version(std::uint8_t value);
  PacketBuilder &claim_ipv4_header_words(std::uint8_t value);
  PacketBuilder &claim_tcp_header_words(std::uint8_t value);
  PacketBuilder &claim_udp_length(std::uint16_t value);
  PacketBuilder &leave_checksums();          ///< as on a tap with offload: not filled in
  PacketBuilder &trailer(std::size_t count); ///< Ethernet padding

  [[nodiscard]] Bytes build() const;

private:
  [[nodiscard]] Bytes transport() const;
  [[nodiscard]] Bytes network() const;
  void add_ipv4(Bytes &out, std::size_t length) const;
  void add_ipv6(Bytes &out, std::size_t length) const;

  struct Extension {
    std::uint8_t type;
    Bytes body;
  };
  struct Tag {
    std::uint16_t id;
    std::uint16_t protocol;
  };

  Endpoint source_;
  Endpoint destination_;
  MacAddress source_mac_{0x52, 0x54, 0, 0, 0, 1};
  MacAddress destination_mac_{0x52, 0x54, 0, 0, 0, 2};
  std::vector<Tag> tags_;
  std::optional<std::uint16_t> ether_type_;
  bool link_ = true;
  std::uint8_t hop_limit_ = 64;
  Bytes ip_options_;
  std::vector<Extension> extensions_;
  std::uint16_t fragment_ = 0;
  std::uint8_t protocol_ = 17;
  std::uint8_t flags_ = 0;
  std::uint32_t sequence_ = 0;
  std::uint32_t acknowledgment_ = 0;
  Bytes tcp_options_;
  std::uint8_t icmp_type_ = 0;
  std::uint8_t icmp_code_ = 0;
  Bytes payload_;
  std::optional<std::uint16_t> ip_length_;
  std::optional<std::uint8_t> ip_version_;
  std::optional<std::uint8_t> ipv4_words_;
  std::optional<std::uint8_t> tcp_words_;
  std::optional<std::uint16_t> udp_length_;
  bool checksums_ = true;
  std::size_t trailer_ = 0;
};

/// The two ends of one TCP connection, with their sequence numbers.
class TcpTalk {
public:
  TcpTalk(Endpoint client, Endpoint server, std::uint32_t client_isn = 1000,
          std::uint32_t server_isn = 5000);

  [[nodiscard]] Bytes syn();
  [[nodiscard]] Bytes syn_ack();
  /// Data from the client or the server; the next one follows it.
  [[nodiscard]] Bytes from_client(Bytes data);
  [[nodiscard]] Bytes from_server(Bytes data);
  /// Client data `ahead` bytes behind its turn (negative: before); moves nothing.
  [[nodiscard]] Bytes client_at(std::int64_t ahead, Bytes data) const;
  [[nodiscard]] Bytes client_fin();
  [[nodiscard]] Bytes server_fin();
  [[nodiscard]] Bytes client_rst() const;

private:
  [[nodiscard]] PacketBuilder client_packet(std::uint8_t flags) const;
  [[nodiscard]] PacketBuilder server_packet(std::uint8_t flags) const;

  Endpoint client_;
  Endpoint server_;
  std::uint32_t client_next_;
  std::uint32_t server_next_;
};

} // namespace outguard::guest
