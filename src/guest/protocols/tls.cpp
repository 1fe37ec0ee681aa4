#include "guest/protocols/tls.h"

#include <algorithm>

#include "guest/bytes/byte_cursor.h"
#include "guest/protocols/host_name.h"

namespace outguard::guest {

namespace {

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

/// The first handshake message, header and all, that the records in `bytes` carry: a view into them
/// when one record holds it all, else joined in `memory`.
struct Joined {
  TlsLook look = TlsLook::Done;
  std::span<const std::uint8_t> message; ///< empty unless complete
};

Joined join_handshake(std::span<const std::uint8_t> bytes, std::string &memory) {
  memory.clear();
  std::span<const std::uint8_t> message;
  std::size_t wanted = kHandshakeHeader;
  for (ByteCursor cursor(bytes); message.size() < wanted;) {
    if (!cursor.at_end() && (cursor.rest()[0] != kHandshake || !may_be_tls(cursor.rest()))) {
      return {TlsLook::Done, {}};
    }
    if (cursor.remaining() < kRecordHeader) {
      return {TlsLook::NeedMore, {}};
    }
    (void)cursor.skip(3);
    const std::size_t length = *cursor.be16();
    const auto record = *cursor.take(std::min(length, cursor.remaining()));
    if (message.empty()) {
      message = record;
    } else {
      memory = memory.empty() ? std::string(as_text(message)) : std::move(memory);
      memory += as_text(record);
      message = {reinterpret_cast<const std::uint8_t *>(memory.data()), memory.size()};
    }
    if (message.size() >= kHandshakeHeader) {
      wanted = kHandshakeHeader +
               static_cast<std::size_t>(message[1] << 16 | message[2] << 8 | message[3]);
      if (wanted > kMaxClientHello) {
        return {TlsLook::Done, {}};
      }
    }
    if (record.size() < length && message.size() < wanted) {
      return {TlsLook::NeedMore, {}};
    }
  }
  return {TlsLook::Done, message.first(wanted)};
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

void look_at_client_hello(std::span<const std::uint8_t> hello, std::string &scratch,
                          ObservableSink &sink) {
  ByteCursor cursor(hello);
  const bool fixed = cursor.skip(2 + 32) && // legacy_version, random
                     skip_short_vector(cursor) && skip_vector(cursor) && skip_short_vector(cursor);
  if (!fixed || !cursor.skip(2)) {
    return;
  }
  while (!cursor.at_end()) {
    const auto type = cursor.be16();
    const auto length = cursor.be16();
    if (!type || !length) {
      return;
    }
    const auto body = cursor.take(*length);
    if (!body) {
      return;
    }
    if (*type == kServerName) {
      observe_server_names(*body, scratch, sink);
      return;
    }
  }
}

} // namespace

bool may_be_tls(std::span<const std::uint8_t> bytes) {
  ByteCursor cursor(bytes);
  const auto type = cursor.u8();
  if (type && *type != kHandshake && *type != 21) { // 21: alert, a server's first word at times
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
  return !length || (*length > 0 && *length <= kMaxRecord);
}

TlsLook look_at_tls(std::span<const std::uint8_t> bytes, std::string &scratch,
                    ObservableSink &sink) {
  if (!may_be_tls(bytes)) {
    return TlsLook::NotTls;
  }
  if (bytes.size() < kRecordHeader + 1) {
    return TlsLook::NeedMore;
  }
  if (bytes[0] != kHandshake || bytes[kRecordHeader] != kClientHello) {
    return TlsLook::Done;
  }
  std::string memory;
  const Joined joined = join_handshake(bytes, memory);
  if (!joined.message.empty()) {
    look_at_client_hello(joined.message.subspan(kHandshakeHeader), scratch, sink);
  }
  return joined.look;
}

} // namespace outguard::guest
