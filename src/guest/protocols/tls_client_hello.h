#pragma once
// A TLS ClientHello taken apart (RFC 8446, 4.1.2). Views into the hello; nothing here outlives it.

#include <cstdint>
#include <optional>
#include <span>

namespace outguard::guest {

struct TlsClientHello {
  using Bytes = std::span<const std::uint8_t>;
  std::uint16_t legacy_version = 0;
  Bytes cipher_suites; ///< lists of two bytes each, as all but point formats here
  Bytes extensions;    ///< type, length, body, each
  Bytes groups;
  Bytes point_formats;
  Bytes signature_algorithms;
  Bytes versions;                   ///< of the extension; empty: there is none
  std::optional<Bytes> server_name; ///< body of the extension
  Bytes protocols;                  ///< of ALPN, each with a byte of length before it
  bool encrypted_hello = false;     ///< ECH is offered, or greased
};

/// Takes apart the body of a ClientHello of which the end may be missing. False: it is missing, or
/// a length lies; `hello` then holds what came before that.
[[nodiscard]] bool read_client_hello(std::span<const std::uint8_t> body, TlsClientHello &hello);

/// The client's first protocol; empty: none.
[[nodiscard]] std::span<const std::uint8_t> first_protocol(const TlsClientHello &hello);

} // namespace outguard::guest
