#pragma once
// What benchmarks' clients and servers say, in the sizes and shapes of today: ClientHellos of four
// kinds of program, certificates, DNS answers with chains, HTTP with browsers' headers.
// Deterministic in what they are given.

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/ip_address.h"

namespace outguard::bench {

using Bytes = std::vector<std::uint8_t>;

/// `program` 0, 1: browsers with a post-quantum key share, about 1,750 bytes; 2: an OpenSSL client
/// padded to 517; 3: a short one. Browser 0 puts its extensions in an order of each `number`'s own.
[[nodiscard]] Bytes tls_client_hello(std::string_view server_name, std::uint32_t program,
                                     std::uint32_t number);
/// Of TLS 1.3, with what follows encrypted.
[[nodiscard]] Bytes tls13_server_flight(std::uint32_t number);
/// Of TLS 1.2, with two certificates.
[[nodiscard]] Bytes tls12_server_flight(std::string_view server_name, std::uint32_t number);
/// A record of encrypted data of `length` bytes, of which only the header; the rest is noise.
[[nodiscard]] Bytes tls_data_header(std::size_t length);

[[nodiscard]] Bytes dns_question(std::string_view name, std::uint16_t id, std::uint16_t type);
/// A (1) or AAAA (28): `aliases` names on the way, then `addresses`.
[[nodiscard]] Bytes dns_reply(std::string_view name, std::uint16_t id, std::uint16_t type,
                              std::uint32_t aliases, const std::vector<IpAddress> &addresses);

[[nodiscard]] Bytes http_get(std::string_view host, std::string_view path, std::uint32_t browser);
[[nodiscard]] Bytes http_answer_head(std::size_t body);

} // namespace outguard::bench
