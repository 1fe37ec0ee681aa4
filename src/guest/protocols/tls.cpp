#include "guest/protocols/tls.h"

#include <algorithm>

#include "guest/bytes/byte_cursor.h"
#include "guest/protocols/host_name.h"

namespace outguard::guest {

namespace {

constexpr std::uint8_t kAlert = 21;
constexpr std::uint8_t kHandshake = 22;
constexpr std::uint8_t kClientHello = 1;
constexpr std::uint16_t kServerName = 0;
constexpr std::uint8_t kHostName = 0;
constexpr std::size_t kRecordHeader = 5;
constexpr std::size_t kMaxRecord = 16384 + 2048; ///< TLSCiphertext of 1.2, the largest of all
constexpr std::size_t kHandshakeHeader = 4;

std::string_view as_text(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

/// As much of the first handshake message, header and all, as the records in `bytes` carry: a view
/// into them when it is in one record, else joined in `memory`.
struct Joined {
  std::span<const std::uint8_t> message;
  bool ended = false; ///< whole, or something else follows in its middle: no more will come
};

Joined join_handshake(std::span<const std::uint8_t> bytes, std::string &memory) {
  memory.clear();
  Joined joined;
  for (ByteCursor cursor(bytes); !joined.ended && cursor.remaining() >= kRecordHeader;) {
    if (cursor.rest()[0] != kHandshake || !may_be_tls(cursor.rest())) {
      joined.ended = true;
      break;
    }
    (void)cursor.skip(3);
    const std::size_t length = *cursor.be16();
    const auto record = *cursor.take(std::min(length, cursor.remaining()));
    auto &message = joined.message;
    if (message.empty()) {
      message = record;
    } else {
      memory = memory.empty() ? std::string(as_text(message)) : std::move(memory);
      memory += as_text(record);
      message = {reinterpret_cast<const std::uint8_t *>(memory.data()), memory.size()};
    }
    if (message.size() >= kHandshakeHeader) {
      const auto whole = kHandshakeHeader +
                         static_cast<std::size_t>(message[1] << 16 | message[2] << 8 | message[3]);
      joined.ended = message.size() >= whole;
      message = message.first(std::min(message.size(), whole));
    }
  }
  return joined;
}

/// Skips a vector with a length of one or two bytes before it.
bool skip_short_vector(ByteCursor &cursor) {
  const auto length = cursor.u8();
  return length && cursor.skip(*length);
}
bool skip_vector(ByteCursor &cursor) {
  const auto length = cursor.be16();
  return length && cursor.skip(*length);
}

void observe_server_names(std::span<const std::uint8_t> extension, std::string &scratch,
                          ObservableSink &sink) {
  ByteCursor cursor(extension);
  const auto list_length = cursor.be16();
  if (!list_length) {
    return;
  }
  // RFC 6066 allows one name a type; the first is the one that servers use.
  const auto type = cursor.u8();
  const auto length = cursor.be16();
  if (!type || *type != kHostName || !length) {
    return;
  }
  const auto name = cursor.take(*length);
  if (!name) {
    return;
  }
  scratch.clear();
  if (const auto form = append_host(as_text(*name), scratch)) {
    sink.observe({ObservableKind::TlsServerName, *form, scratch});
  }
}

/// `hello` may end early. False: the end was reached before the server name.
bool look_at_client_hello(std::span<const std::uint8_t> hello, std::string &scratch,
                          ObservableSink &sink) {
  ByteCursor cursor(hello);
  const bool fixed = cursor.skip(2 + 32) && // legacy_version, random
                     skip_short_vector(cursor) && skip_vector(cursor) && skip_short_vector(cursor);
  if (!fixed || !cursor.skip(2)) {
    return false;
  }
  for (;;) {
    const auto type = cursor.be16();
    const auto length = cursor.be16();
    if (!type || !length) {
      return false;
    }
    const auto body = cursor.take(*length);
    if (!body) {
      return false;
    }
    if (*type == kServerName) {
      observe_server_names(*body, scratch, sink);
      return true;
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

TlsResult look_at_tls(std::span<const std::uint8_t> bytes, std::string &scratch,
                      ObservableSink &sink) {
  if (!may_be_tls(bytes)) {
    return {TlsLook::NotTls};
  }
  if (bytes.size() < kRecordHeader) {
    return {TlsLook::NeedMore};
  }
  const auto length = static_cast<std::size_t>(bytes[3] << 8 | bytes[4]);
  if (bytes[0] == kAlert || length == 0) {
    return {TlsLook::PassOver, kRecordHeader + length};
  }
  if (bytes.size() == kRecordHeader) {
    return {TlsLook::NeedMore};
  }
  if (bytes[kRecordHeader] != kClientHello) {
    return {TlsLook::Done};
  }
  std::string memory;
  const Joined joined = join_handshake(bytes, memory);
  const bool told = joined.message.size() > kHandshakeHeader &&
                    look_at_client_hello(joined.message.subspan(kHandshakeHeader), scratch, sink);
  return {told || joined.ended ? TlsLook::Done : TlsLook::NeedMore};
}

} // namespace outguard::guest
