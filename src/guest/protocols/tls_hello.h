#pragma once
// What is observed of a ClientHello, whatever carried it: over TCP or in QUIC. Pure.

#include <cstdint>
#include <span>
#include <string>

#include "guest/protocols/observable.h"
#include "guest/protocols/tls_fingerprint.h"

namespace outguard::guest {

/// Memory that every look shares; what is observed lives in `text`.
struct HelloScratch {
  std::string text;
  TlsFingerprints fingerprints;
};

/// False: there is none, or it is broken.
bool observe_server_name(const TlsClientHello &hello, std::string &scratch, ObservableSink &sink);

enum class ServerName : std::uint8_t { Untold, Told };

/// The body of a whole ClientHello: server name (if untold), first protocol, JA3, JA4, and what it
/// hides. `receiver_port` is where it goes to. What is broken is told as far as it can be read,
/// without fingerprints.
void observe_client_hello(std::span<const std::uint8_t> body, HelloTransport transport,
                          std::uint16_t receiver_port, ServerName name, HelloScratch &scratch,
                          ObservableSink &sink);

} // namespace outguard::guest
