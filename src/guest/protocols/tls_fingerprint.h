#pragma once
// What tells the maker of a ClientHello: JA3 (MD5 of five decimal lists) and JA4 (the TLS client's:
// a readable head, two cut SHA-256). GREASE (RFC 8701) is left out of both. Keeps its memory from
// one hello to the next; one thread at a time.

#include <cstdint>
#include <string>
#include <vector>

#include "guest/protocols/digest_memo.h"
#include "guest/protocols/tls_client_hello.h"

namespace outguard::guest {

enum class HelloTransport : std::uint8_t { Tcp, Quic };

class TlsFingerprints {
public:
  /// 32 hexadecimal digits; false: OpenSSL failed. Replaces `out`, as the next.
  [[nodiscard]] bool ja3(const TlsClientHello &hello, std::string &out);
  [[nodiscard]] bool ja4(const TlsClientHello &hello, HelloTransport transport, std::string &out);

private:
  void add_numbers(TlsClientHello::Bytes list);
  /// The types that `take` says yes to.
  template <class Take> void add_extensions(const TlsClientHello &hello, Take take);
  [[nodiscard]] bool append_ja4_ciphers(std::string &out);
  [[nodiscard]] bool append_ja4_extensions(const TlsClientHello &hello, std::string &out);
  [[nodiscard]] bool append_hash_of_text(std::string &out);

  std::vector<std::uint16_t> numbers_; ///< by which a digest is known
  std::vector<std::uint16_t> sorted_;
  std::string text_; ///< what is hashed
  std::string hex_;
  DigestMemo ja3_, ciphers_, extensions_;
};

} // namespace outguard::guest
