#pragma once
// TLS ClientHello (RFC 8446, 4.1.2; RFC 6066, 3): the server name, also when the hello is scattered
// over several records. Pure.

#include <cstdint>
#include <span>
#include <string>

#include "guest/protocols/observable.h"

namespace outguard::guest {

enum class TlsLook : std::uint8_t {
  NotTls,
  NeedMore,
  PassOver, ///< an alert or an empty record: servers look on behind it
  Done,
};

struct TlsResult {
  TlsLook look = TlsLook::NotTls;
  std::size_t length = 0; ///< PassOver: of the record, may reach beyond the bytes
};

/// Can `bytes` be the start of a TLS handshake or alert record? False only when it cannot.
[[nodiscard]] bool may_be_tls(std::span<const std::uint8_t> bytes);

/// `bytes` starts at a record. Done: the server name was observed, as soon as it was complete
/// however long the hello goes on; or the hello has none, or this is the server's side, or it is
/// broken: nothing more will come.
[[nodiscard]] TlsResult look_at_tls(std::span<const std::uint8_t> bytes, std::string &scratch,
                                    ObservableSink &sink);

} // namespace outguard::guest
