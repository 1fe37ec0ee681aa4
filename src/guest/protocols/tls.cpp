#include "guest/protocols/tls.h"

#include <algorithm>
#include <optional>

#include "guest/bytes/byte_cursor.h"
#include "guest/protocols/certificate.h"
#include "guest/protocols/digest.h"

namespace outguard::guest {

namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint8_t kAlert = 21;
constexpr std::uint8_t kHandshake = 22;
constexpr std::uint8_t kHelloRequest = 0; ///< ignored by clients at any time (RFC 5246, 7.4.1.1)
constexpr std::uint8_t kClientHello = 1;
constexpr std::uint8_t kServerHello = 2;
constexpr std::uint8_t kCertificate = 11;
constexpr std::uint16_t kSupportedVersions = 43;
constexpr std::size_t kRecordHeader = 5;
constexpr std::size_t kMaxRecord = 16384 + 2048; ///< TLSCiphertext of 1.2, the largest of all
constexpr std::size_t kHandshakeHeader = 4;
constexpr std::size_t kMostCertificate =
    std::size_t{256} * 1024; ///< OpenSSL's limit for a chain is 100 KiB
constexpr std::size_t kCertificateHeader = kHandshakeHeader + 3 + 3; ///< list, first certificate

/// The bytes of handshake messages that the records in `bytes` carry: a view into them when they
/// are in one record, else joined in `memory`.
struct Joined {
  Bytes messages;
  bool ended = false;          ///< something else follows: no more will come
  std::size_t used = 0;        ///< of the bytes: all but the beginning of a record's header
  std::size_t record_left = 0; ///< bytes of the last record that are not here
};

Joined join_handshake(Bytes bytes, std::vector<std::uint8_t> &memory) {
  memory.clear();
  Joined joined;
  for (ByteCursor cursor(bytes); cursor.remaining() >= kRecordHeader;) {
    const std::uint8_t type = cursor.rest()[0];
    if (!may_be_tls(cursor.rest())) {
      joined.ended = true;
      break;
    }
    (void)cursor.skip(3);
    const std::size_t length = *cursor.be16();
    if (type == kAlert) { // OpenSSL takes warnings between the parts of a message
      if (!cursor.skip(length)) {
        break;
      }
      joined.used = cursor.position();
      continue;
    }
    const auto record = *cursor.take(std::min(length, cursor.remaining()));
    joined.used = cursor.position();
    joined.record_left = length - record.size();
    if (joined.messages.empty()) {
      joined.messages = record;
      continue;
    }
    if (memory.empty()) {
      memory.assign(joined.messages.begin(), joined.messages.end());
    }
    memory.insert(memory.end(), record.begin(), record.end());
    joined.messages = memory;
  }
  return joined;
}

/// One handshake message, as much of it as is here.
struct Message {
  std::uint8_t type = 0;
  std::size_t length = 0; ///< whole, without the header
  Bytes body;

  [[nodiscard]] bool whole() const { return body.size() == length; }
};

std::optional<Message> next_message(ByteCursor &cursor) {
  if (cursor.remaining() < kHandshakeHeader) {
    return std::nullopt;
  }
  Message message;
  message.type = *cursor.u8();
  message.length = *cursor.be24();
  message.body = *cursor.take(std::min(message.length, cursor.remaining()));
  return message;
}

TlsLook look_at_client(TlsState &state, const Joined &joined, std::size_t held,
                       std::uint16_t receiver_port, HelloScratch &scratch, ObservableSink &sink) {
  ByteCursor cursor(joined.messages);
  const auto hello = next_message(cursor);
  if (hello && hello->whole()) {
    observe_client_hello(hello->body, HelloTransport::Tcp, receiver_port, state.name, scratch,
                         sink);
    return TlsLook::Done;
  }
  TlsClientHello part;
  if (hello && state.name == ServerName::Untold) {
    (void)read_client_hello(hello->body, part);
    if (observe_server_name(part, scratch.text, sink)) {
      state.name = ServerName::Told;
    }
  }
  const bool too_long = hello && hello->length > kMostTlsHeld;
  if (held >= kMostTlsHeld && state.name == ServerName::Untold) {
    sink.note_blindness(Blindness::Unreadable); // the name stands behind what is waited for
    return TlsLook::Done;
  }
  const bool nothing_more = joined.ended || (too_long && state.name == ServerName::Told);
  return nothing_more ? TlsLook::Done : TlsLook::NeedMore;
}

constexpr std::uint16_t kTls13 = 0x304;

/// A ServerHello of TLS 1.3 has its version in an extension that no other has, and there alone
/// (RFC 8446, 4.1.3). 0: none.
std::uint16_t version_of(Bytes server_hello) {
  ByteCursor cursor(server_hello);
  const auto legacy = cursor.be16();
  (void)cursor.skip(32); // random
  const auto session = cursor.u8();
  (void)cursor.skip(session.value_or(0) + 2U + 1U); // and cipher, compression
  (void)cursor.skip(2);
  for (;;) {
    const auto type = cursor.be16();
    const auto length = cursor.be16();
    auto body = cursor.window(length.value_or(0));
    if (!type || !length || !body) {
      return legacy && *legacy < kTls13 ? *legacy : std::uint16_t{0};
    }
    if (*type == kSupportedVersions) {
      return body->be16().value_or(kTls13);
    }
  }
}

/// As Suricata writes them.
std::string_view name_of_version(std::uint16_t version) {
  switch (version) {
  case 0x300:
    return "SSLv3";
  case 0x301:
    return "TLSv1";
  case 0x302:
    return "TLS 1.1";
  case 0x303:
    return "TLS 1.2";
  default:
    return version >= kTls13 ? "TLS 1.3" : "";
  }
}

void observe_version(std::uint16_t version, ObservableSink &sink) {
  const auto name = name_of_version(version);
  if (!name.empty() && sink.wants(ObservableKind::TlsVersion)) {
    sink.observe({ObservableKind::TlsVersion, HostForm::NoHost, name});
  }
}

void observe_certificate(Bytes der, TlsScratch &scratch, ObservableSink &sink) {
  std::string &text = scratch.hello.text;
  const auto tell_digest = [&](ObservableKind kind, DigestKind digest) {
    text.clear();
    if (sink.wants(kind) && append_digest(digest, der, text)) {
      sink.observe({kind, HostForm::NoHost, text});
    }
  };
  tell_digest(ObservableKind::CertificateSha1, DigestKind::Sha1);
  tell_digest(ObservableKind::CertificateSha256, DigestKind::Sha256);
  scratch.names_untold += observe_certificate_names(der, text, sink);
}

/// Goes on with a long certificate, at `bytes` that start in or right behind a record. How many of
/// them were used, also of an alert that is still to come; nullopt: no more will come of it.
std::optional<std::size_t> hash_long_certificate(TlsState &state, Bytes bytes, TlsScratch &scratch,
                                                 ObservableSink &sink) {
  ByteCursor cursor(bytes);
  for (;;) {
    const auto wanted =
        std::min<std::size_t>({state.record_left, state.certificate_left, cursor.remaining()});
    if (!scratch.long_certificates.add(state.certificate, *cursor.take(wanted))) {
      sink.note_blindness(Blindness::Unreadable); // it made room for another
      return std::nullopt;
    }
    state.record_left = static_cast<std::uint16_t>(state.record_left - wanted);
    state.certificate_left -= static_cast<std::uint32_t>(wanted);
    if (state.certificate_left == 0) {
      scratch.long_certificates.end(state.certificate, scratch.hello.text, sink);
      return std::nullopt;
    }
    if (state.record_left > 0 || cursor.remaining() < kRecordHeader) {
      return cursor.position();
    }
    const std::uint8_t type = cursor.rest()[0];
    if (!may_be_tls(cursor.rest())) {
      scratch.long_certificates.lose(state.certificate);
      sink.note_blindness(Blindness::Unreadable);
      return std::nullopt;
    }
    (void)cursor.skip(3);
    const std::uint16_t length = *cursor.be16();
    if (type != kAlert) {
      state.record_left = length;
    } else if (!cursor.skip(length)) {
      return cursor.position() + length;
    }
  }
}

/// The Certificate message, behind `before` bytes of others.
TlsResult look_at_certificate(TlsState &state, const Message &message, std::size_t before,
                              const Joined &joined, TlsScratch &scratch, ObservableSink &sink) {
  const TlsResult not_yet{joined.ended ? TlsLook::Done : TlsLook::NeedMore};
  ByteCursor list(message.body);
  const bool begun = list.skip(3); // length of the list
  const auto length = list.be24();
  if (!begun || !length) {
    return message.whole() ? TlsResult{TlsLook::Done} : not_yet; // an empty list
  }
  const std::size_t wanted = *length;
  if (wanted == 0 || wanted + 6 > message.length) {
    return {TlsLook::Done}; // a lie
  }
  if (const auto der = list.take(wanted)) {
    observe_certificate(*der, scratch, sink);
    return {TlsLook::Done};
  }
  if (joined.ended || wanted > kMostCertificate) {
    scratch.long_certificates.lose(0);
    sink.note_blindness(Blindness::Unreadable);
    return {TlsLook::Done};
  }
  if (before + kCertificateHeader + wanted <= kMostTlsHeld) {
    return not_yet;
  }
  if (!sink.wants(ObservableKind::CertificateSha1) &&
      !sink.wants(ObservableKind::CertificateSha256)) {
    return {TlsLook::Done}; // nothing else is told of one so long
  }
  state.certificate = scratch.long_certificates.begin();
  (void)scratch.long_certificates.add(state.certificate, list.rest());
  state.certificate_left = static_cast<std::uint32_t>(wanted - list.remaining());
  state.record_left = static_cast<std::uint16_t>(joined.record_left);
  return {TlsLook::Consumed, joined.used};
}

TlsResult look_at_server(TlsState &state, const Joined &joined, TlsScratch &scratch,
                         ObservableSink &sink) {
  ByteCursor cursor(joined.messages);
  std::uint16_t version = 0;
  for (std::size_t before = 0;; before = cursor.position()) {
    const auto message = next_message(cursor);
    if (message && message->type == kCertificate) {
      const bool all_told = sink.wants_all();
      const auto result = look_at_certificate(state, *message, before, joined, scratch, sink);
      if (!all_told && sink.wants_all()) { // it was listed
        observe_version(version, sink);
      }
      return result;
    }
    if (!message || !message->whole()) {
      return {joined.ended ? TlsLook::Done : TlsLook::NeedMore};
    }
    if (message->type == kServerHello) {
      version = version_of(message->body);
      observe_version(version, sink);
      if (version >= kTls13) { // its certificates cannot be seen
        return {TlsLook::Done};
      }
    }
  }
}

} // namespace

bool may_be_tls(std::span<const std::uint8_t> bytes) {
  ByteCursor cursor(bytes);
  const auto type = cursor.u8();
  if (type && *type != kHandshake && *type != kAlert) {
    return false;
  }
  const auto major = cursor.u8();
  if (major && *major != 3) {
    return false;
  }
  const auto minor = cursor.u8();
  if (minor && *minor > 4) {
    return false;
  }
  const auto length = cursor.be16();
  return !length || *length <= kMaxRecord;
}

bool begins_tls_hello(std::span<const std::uint8_t> bytes) {
  constexpr std::size_t kVersion = kRecordHeader + kHandshakeHeader;
  const auto is_hello = [](std::uint8_t type) { // also both levels of an alert
    return type == kClientHello || type == kServerHello;
  };
  return may_be_tls(bytes) && (bytes.size() <= kRecordHeader || is_hello(bytes[kRecordHeader])) &&
         (bytes.size() <= kVersion || bytes[0] == kAlert || bytes[kVersion] == 3);
}

TlsResult look_at_tls(TlsState &state, std::span<const std::uint8_t> bytes,
                      std::uint16_t receiver_port, TlsScratch &scratch, ObservableSink &sink) {
  if (state.certificate != 0) {
    const auto used = hash_long_certificate(state, bytes, scratch, sink);
    if (!used) {
      return {TlsLook::Done};
    }
    return *used > 0 ? TlsResult{TlsLook::Consumed, *used} : TlsResult{TlsLook::NeedMore};
  }
  if (!may_be_tls(bytes)) {
    return {TlsLook::NotTls};
  }
  if (bytes.size() < kRecordHeader) {
    return {TlsLook::NeedMore};
  }
  const auto length = static_cast<std::size_t>(bytes[3] << 8 | bytes[4]);
  if (bytes[0] == kAlert || length == 0) {
    return {TlsLook::Consumed, kRecordHeader + length};
  }
  if (bytes.size() == kRecordHeader) {
    return {TlsLook::NeedMore};
  }
  const Joined joined = join_handshake(bytes, scratch.message);
  if (bytes[kRecordHeader] == kClientHello) {
    return {look_at_client(state, joined, bytes.size(), receiver_port, scratch.hello, sink)};
  }
  if (bytes[kRecordHeader] == kServerHello || bytes[kRecordHeader] == kHelloRequest) {
    return look_at_server(state, joined, scratch, sink);
  }
  return {TlsLook::Done};
}

} // namespace outguard::guest
