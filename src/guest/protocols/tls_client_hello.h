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

/// Calls `take(type, body)` with each extension up to one whose length lies; false: there is one.
template <class Take> bool for_each_extension(TlsClientHello::Bytes extensions, Take &&take) {
  constexpr std::size_t kHead = 4;
  while (extensions.size() >= kHead) {
    const auto type = static_cast<std::uint16_t>(extensions[0] << 8 | extensions[1]);
    const auto end = kHead + static_cast<std::size_t>(extensions[2] << 8 | extensions[3]);
    if (end > extensions.size()) {
      return false;
    }
    take(type, extensions.subspan(kHead, end - kHead));
    extensions = extensions.subspan(end);
  }
  return extensions.empty();
}

/// The client's first protocol; empty: none.
[[nodiscard]] std::span<const std::uint8_t> first_protocol(const TlsClientHello &hello);

} // namespace outguard::guest
