#pragma once
// Builds application messages for tests and fuzz seeds: DNS, TLS ClientHello, HTTP/1 requests, and
// capture files around packets. Deterministic.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "guest/testing/packet_builder.h"

namespace outguard::guest {

/// One question; `name` in labels separated by dots, labels may hold any byte but a dot.
[[nodiscard]] Bytes dns_query(std::string_view name, std::uint16_t type = 1);
/// An answer with one A record whose name is a compression pointer to the question.
[[nodiscard]] Bytes dns_answer(std::string_view name, std::string_view address);
/// With the two bytes of length that TCP wants.
[[nodiscard]] Bytes over_tcp(const Bytes &message);

struct ClientHello {
  std::string server_name;         ///< empty: no such extension
  std::size_t key_share = 32;      ///< bytes; 1216 is X25519MLKEM768
  std::size_t padding = 0;         ///< bytes of an extension before the server name
  std::size_t record_size = 16384; ///< the message is scattered over records of this size
};
[[nodiscard]] Bytes client_hello(const ClientHello &hello);
[[nodiscard]] Bytes server_hello();

[[nodiscard]] Bytes http_request(std::string_view host, std::string_view target,
                                 std::string_view method = "GET", std::string_view body = {});

/// Capture files around packets, one second apart from 1,700,000,000 s on.
enum class ByteOrder : std::uint8_t { Little, Big };
enum class Resolution : std::uint8_t { Micro, Nano };
[[nodiscard]] Bytes pcap_file(const std::vector<Bytes> &packets,
                              ByteOrder order = ByteOrder::Little,
                              Resolution resolution = Resolution::Micro, std::uint32_t link = 1);
[[nodiscard]] Bytes pcapng_file(const std::vector<Bytes> &packets,
                                ByteOrder order = ByteOrder::Little,
                                Resolution resolution = Resolution::Micro, std::uint16_t link = 1);

} // namespace outguard::guest
