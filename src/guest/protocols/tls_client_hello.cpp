#include "guest/protocols/tls_client_hello.h"

#include <algorithm>

#include "guest/bytes/byte_cursor.h"

namespace outguard::guest {

namespace {

using Bytes = TlsClientHello::Bytes;

// IANA, TLS ExtensionType Values.
constexpr std::uint16_t kServerName = 0;
constexpr std::uint16_t kSupportedGroups = 10;
constexpr std::uint16_t kPointFormats = 11;
constexpr std::uint16_t kSignatureAlgorithms = 13;
constexpr std::uint16_t kProtocols = 16;
constexpr std::uint16_t kSupportedVersions = 43;
constexpr std::uint16_t kEncryptedHello = 0xfe0d;

/// The list behind its length; empty where the length lies.
template <class Length> Bytes list_of(ByteCursor &cursor, const Result<Length> &length) {
  return length ? cursor.take(*length).value_or(Bytes{}) : Bytes{};
}
Bytes short_list(Bytes body) {
  ByteCursor cursor(body);
  return list_of(cursor, cursor.u8());
}
Bytes list(Bytes body) {
  ByteCursor cursor(body);
  return list_of(cursor, cursor.be16());
}

void note_extension(std::uint16_t type, Bytes body, TlsClientHello &hello) {
  switch (type) {
  case kServerName:
    hello.server_name = hello.server_name.value_or(body);
    break;
  case kSupportedGroups:
    hello.groups = list(body);
    break;
  case kPointFormats:
    hello.point_formats = short_list(body);
    break;
  case kSignatureAlgorithms:
    hello.signature_algorithms = list(body);
    break;
  case kProtocols:
    hello.protocols = list(body);
    break;
  case kSupportedVersions:
    hello.versions = short_list(body);
    break;
  case kEncryptedHello:
    hello.encrypted_hello = true;
    break;
  default:
    break;
  }
}

} // namespace

bool read_client_hello(std::span<const std::uint8_t> body, TlsClientHello &hello) {
  hello = {};
  ByteCursor cursor(body);
  const auto version = cursor.be16();
  if (!version || !cursor.skip(32)) { // random
    return false;
  }
  hello.legacy_version = *version;
  const auto session = cursor.u8();
  if (!session || !cursor.skip(*session)) {
    return false;
  }
  const auto ciphers_length = cursor.be16();
  const auto ciphers = cursor.take(ciphers_length.value_or(0));
  const auto compression = cursor.u8();
  if (!ciphers_length || !ciphers || !compression || !cursor.skip(*compression)) {
    return false;
  }
  hello.cipher_suites = *ciphers;
  if (cursor.at_end()) {
    return true; // as before TLS 1.2
  }
  const auto length = cursor.be16();
  if (!length) {
    return false;
  }
  const bool all_here = *length <= cursor.remaining();
  hello.extensions = *cursor.take(std::min<std::size_t>(*length, cursor.remaining()));
  const bool all_good =
      for_each_extension(hello.extensions, [&](std::uint16_t type, Bytes extension) {
        note_extension(type, extension, hello);
      });
  return all_here && all_good;
}

std::span<const std::uint8_t> first_protocol(const TlsClientHello &hello) {
  return short_list(hello.protocols);
}

} // namespace outguard::guest
