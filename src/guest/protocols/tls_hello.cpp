#include "guest/protocols/tls_hello.h"

#include "guest/bytes/byte_cursor.h"
#include "guest/protocols/host_name.h"

namespace outguard::guest {

namespace {

constexpr std::uint8_t kHostName = 0;
constexpr std::uint16_t kDnsOverTlsPort = 853; ///< RFC 7858, RFC 9250

std::string_view as_text(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

void observe_protocol(const TlsClientHello &hello, std::string &scratch, ObservableSink &sink) {
  const auto protocol = first_protocol(hello);
  if (protocol.empty() || !sink.wants(ObservableKind::TlsAlpn)) {
    return;
  }
  scratch.clear();
  for (const std::uint8_t byte : protocol) {
    append_escaped(byte, scratch);
  }
  sink.observe({ObservableKind::TlsAlpn, HostForm::NoHost, scratch});
}

bool offers_dns(const TlsClientHello &hello) {
  for (ByteCursor cursor(hello.protocols);;) {
    const auto length = cursor.u8();
    const auto protocol = cursor.take(length.value_or(0));
    if (!length || !protocol) {
      return false;
    }
    if (as_text(*protocol) == "dot" || as_text(*protocol) == "doq") {
      return true;
    }
  }
}

} // namespace

bool observe_server_name(const TlsClientHello &hello, std::string &scratch, ObservableSink &sink) {
  if (!hello.server_name) {
    return false;
  }
  // RFC 6066 allows one name a type; the first is the one that servers use.
  ByteCursor cursor(*hello.server_name);
  const bool list = cursor.skip(2);
  const auto type = cursor.u8();
  const auto length = cursor.be16();
  const auto name = cursor.take(length.value_or(0));
  if (!list || !type || *type != kHostName || !length || !name) {
    return false;
  }
  scratch.clear();
  const auto form = append_host(as_text(*name), scratch);
  if (form) {
    sink.observe({ObservableKind::TlsServerName, *form, scratch});
  }
  return form.has_value();
}

void observe_client_hello(std::span<const std::uint8_t> body, HelloTransport transport,
                          std::uint16_t receiver_port, ServerName name, HelloScratch &scratch,
                          ObservableSink &sink) {
  TlsClientHello hello;
  const bool whole = read_client_hello(body, hello);
  if (name == ServerName::Untold) {
    (void)observe_server_name(hello, scratch.text, sink);
  }
  const bool all_told = sink.wants_all();
  if (hello.encrypted_hello) {
    sink.note_blindness(Blindness::EncryptedHello);
  }
  if (receiver_port == kDnsOverTlsPort || offers_dns(hello)) {
    sink.note_blindness(Blindness::DnsOverTls);
  }
  observe_protocol(hello, scratch.text, sink);
  if (!whole) {
    return; // a fingerprint of a part would be another client's
  }
  if (sink.wants(ObservableKind::TlsJa3) && scratch.fingerprints.ja3(hello, scratch.text)) {
    sink.observe({ObservableKind::TlsJa3, HostForm::NoHost, scratch.text});
  }
  if (sink.wants(ObservableKind::TlsJa4) &&
      scratch.fingerprints.ja4(hello, transport, scratch.text)) {
    sink.observe({ObservableKind::TlsJa4, HostForm::NoHost, scratch.text});
  }
  if (!all_told && sink.wants_all()) { // whose fingerprint was listed
    (void)observe_server_name(hello, scratch.text, sink);
    observe_protocol(hello, scratch.text, sink);
  }
}

} // namespace outguard::guest
