#pragma once
// TLS over a stream (RFC 5246, 8446), in records over which handshake messages may be scattered. Of
// a client: its hello (tls_hello.h). Of a server that speaks TLS 1.2 or older: hashes and names of
// its first certificate; TLS 1.3 encrypts it.

#include <cstdint>
#include <span>
#include <vector>

#include "guest/protocols/long_certificates.h"
#include "guest/protocols/observable.h"
#include "guest/protocols/tls_hello.h"

namespace outguard::guest {

/// Bytes of a stream that are waited for; below what a stream may hold (StreamConfig), well above
/// every hello in use. A certificate that ends later is hashed as it comes, its names are not told.
inline constexpr std::size_t kMostTlsHeld = std::size_t{15} * 1024;

/// What is remembered of one direction of a stream between looks.
struct TlsState {
  ServerName name = ServerName::Untold;
  // Of a certificate that is hashed as it comes:
  std::uint16_t record_left = 0;      ///< bytes of the record at hand still to come
  std::uint32_t certificate = 0;      ///< number in LongCertificates; 0: none
  std::uint32_t certificate_left = 0; ///< bytes of it still to come
};

/// Memory that every look shares; what is observed lives in it. One thread.
struct TlsScratch {
  HelloScratch hello;
  std::vector<std::uint8_t> message; ///< joined from several records
  LongCertificates long_certificates;
  std::uint64_t names_untold = 0; ///< of certificates with more than kMostCertificateNames
};

enum class TlsLook : std::uint8_t {
  NotTls,
  NeedMore,
  Consumed, ///< look on behind it: an alert, an empty record, a part of a long certificate
  Done,     ///< nothing more will come of this direction
};

struct TlsResult {
  TlsLook look = TlsLook::NotTls;
  std::size_t length = 0; ///< Consumed: may reach beyond the bytes
};

/// Can `bytes` be the start of a TLS handshake or alert record? False only when it cannot.
[[nodiscard]] bool may_be_tls(std::span<const std::uint8_t> bytes);
/// Likewise of one in clear text that a hello may be in, or comes behind.
[[nodiscard]] bool begins_tls_hello(std::span<const std::uint8_t> bytes);

/// May a handshake, or an alert in front of one, begin here? Cheap for all that is none; encrypted
/// records rarely pass.
[[nodiscard]] inline bool begins_tls(std::span<const std::uint8_t> bytes) {
  return !bytes.empty() && (bytes[0] == 22 || bytes[0] == 21) && begins_tls_hello(bytes);
}

/// `bytes` starts at a record, or in the middle of what earlier looks consumed. `receiver_port` is
/// where they go to. The server name is told as soon as it is complete, however long the hello goes
/// on; everything else when its end is there.
[[nodiscard]] TlsResult look_at_tls(TlsState &state, std::span<const std::uint8_t> bytes,
                                    std::uint16_t receiver_port, TlsScratch &scratch,
                                    ObservableSink &sink);

} // namespace outguard::guest
