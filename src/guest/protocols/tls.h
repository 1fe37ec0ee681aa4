#pragma once
// TLS ClientHello (RFC 8446, 4.1.2; RFC 6066, 3): the server name, also when the hello is scattered
// over several records. Pure.

#include <cstdint>
#include <span>
#include <string>

#include "guest/protocols/observable.h"

namespace outguard::guest {

/// A post-quantum key share makes hellos of 2 KiB; padding and tickets make them larger.
inline constexpr std::size_t kMaxClientHello = 16U << 10;

enum class TlsLook : std::uint8_t { NotTls, NeedMore, Done };

/// Can `bytes` be the start of a TLS handshake or alert record? False only when it cannot.
[[nodiscard]] bool may_be_tls(std::span<const std::uint8_t> bytes);

/// `bytes` starts at a record. Done: the hello was complete (its server name, if any, was
/// observed), or this is the server's side, or it is broken: nothing more will come.
[[nodiscard]] TlsLook look_at_tls(std::span<const std::uint8_t> bytes, std::string &scratch,
                                  ObservableSink &sink);

} // namespace outguard::guest
