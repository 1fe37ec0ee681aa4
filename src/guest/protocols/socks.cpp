#include "guest/protocols/socks.h"

#include <algorithm>
#include <optional>

#include "base/ip_address.h"
#include "guest/bytes/byte_cursor.h"
#include "guest/protocols/host_name.h"
#include "guest/protocols/text_line.h"

namespace outguard::guest {

namespace {

constexpr std::uint8_t kConnect = 1;
constexpr std::uint8_t kBind = 2;
constexpr std::uint8_t kUdpAssociate = 3; ///< its address is the client's own
constexpr std::size_t kMaxText = 255;     ///< version 4 sets no limit; 5 has one byte of length

void observe_address(const IpAddress &address, ObservableSink &sink) {
  if (!address.is_unspecified()) {
    sink.observe({ObservableKind::ProxyTarget, HostForm::Address, address.to_string()});
  }
}

void observe_name(std::string_view name, std::string &scratch, ObservableSink &sink) {
  scratch.clear();
  if (const auto form = append_host(name, scratch)) {
    sink.observe({ObservableKind::ProxyTarget, *form, scratch});
  }
}

/// A text that ends with a zero byte; the cursor moves behind that.
enum class TextEnd : std::uint8_t { Complete, CutOff, Wrong };
TextEnd read_text(ByteCursor &cursor, std::string_view &text) {
  const auto rest = as_text(cursor.rest()).substr(0, kMaxText + 1);
  const auto length = std::min(rest.find('\0'), rest.size());
  text = rest.substr(0, length);
  const bool printable =
      std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!printable || length > kMaxText) {
    return TextEnd::Wrong;
  }
  return cursor.skip(length + 1) ? TextEnd::Complete : TextEnd::CutOff;
}

/// Version, command, port, address, user; with the address 0.0.0.x, x not 0, also a name (4a).
Look look_at_version4(SocksPhase &phase, std::span<const std::uint8_t> bytes, std::string &scratch,
                      ObservableSink &sink) {
  ByteCursor cursor(bytes.subspan(1));
  const auto command = cursor.u8();
  const auto port = cursor.be16();
  const auto address = cursor.take(4);
  if (command && *command != kConnect && *command != kBind) {
    return kNotMine;
  }
  if (!command || !port || !address) {
    return kNeedMore;
  }
  const bool named = std::all_of(address->begin(), address->begin() + 3,
                                 [](std::uint8_t byte) { return byte == 0; });
  if (*port == 0 || ((*address)[0] == 0 && !named) || (named && (*address)[3] == 0)) {
    return kNotMine;
  }
  std::string_view user;
  std::string_view name;
  TextEnd end = read_text(cursor, user);
  if (end == TextEnd::Complete && named) {
    end = read_text(cursor, name);
  }
  if (end != TextEnd::Complete) {
    return end == TextEnd::CutOff ? kNeedMore : kNotMine;
  }
  if (!named) {
    observe_address(IpAddress::v4(std::span<const std::uint8_t, 4>(address->data(), 4)), sink);
  } else {
    if (name.empty()) {
      return kNotMine;
    }
    observe_name(name, scratch, sink);
  }
  phase = SocksPhase::Asked;
  return consumed(1 + cursor.position());
}

/// Version, number of methods, methods.
Look look_at_greeting(SocksPhase &phase, std::span<const std::uint8_t> bytes) {
  constexpr std::size_t kMaxMethods = 16;
  if (bytes.size() < 2) {
    return kNeedMore;
  }
  const std::size_t count = bytes[1];
  if (count == 0 || count > kMaxMethods) {
    return kNotMine;
  }
  const auto methods = bytes.subspan(2, std::min(count, bytes.size() - 2));
  const bool known = std::all_of(methods.begin(), methods.end(), [](std::uint8_t method) {
    return method <= 9 || (method >= 0x80 && method != 0xff); // IANA, SOCKS methods; private ones
  });
  if (!known) {
    return kNotMine;
  }
  if (methods.size() < count) {
    return kNeedMore;
  }
  phase = SocksPhase::Greeted;
  return consumed(2 + count);
}

/// Version of the negotiation, user, password, each with its length.
Look look_at_password(std::span<const std::uint8_t> bytes) {
  ByteCursor cursor(bytes.subspan(1));
  for (int i = 0; i < 2; ++i) {
    const auto length = cursor.u8();
    if (!length || !cursor.skip(*length)) {
      return kNeedMore;
    }
  }
  return consumed(1 + cursor.position());
}

/// Version, command, zero, kind of address, address, port.
Look look_at_request(SocksPhase &phase, std::span<const std::uint8_t> bytes, std::string &scratch,
                     ObservableSink &sink) {
  enum Kind : std::uint8_t { kV4 = 1, kName = 3, kV6 = 4 };
  ByteCursor cursor(bytes.subspan(1));
  const auto command = cursor.u8();
  const auto zero = cursor.u8();
  const auto kind = cursor.u8();
  if ((command && (*command < kConnect || *command > kUdpAssociate)) || (zero && *zero != 0) ||
      (kind && *kind != kV4 && *kind != kName && *kind != kV6)) {
    return kNotMine;
  }
  if (!command || !zero || !kind) {
    return kNeedMore;
  }
  std::size_t length = *kind == kV4 ? 4 : 16;
  if (*kind == kName) {
    const auto given = cursor.u8();
    if (!given) {
      return kNeedMore;
    }
    length = *given;
  }
  const auto address = cursor.take(length);
  if (!address || !cursor.be16()) {
    return kNeedMore;
  }
  if (*command != kUdpAssociate) {
    if (*kind == kName) {
      observe_name(as_text(*address), scratch, sink);
    } else if (*kind == kV4) {
      observe_address(IpAddress::v4(std::span<const std::uint8_t, 4>(address->data(), 4)), sink);
    } else {
      observe_address(IpAddress::v6(std::span<const std::uint8_t, 16>(address->data(), 16)), sink);
    }
  }
  phase = SocksPhase::Asked;
  return consumed(1 + cursor.position());
}

} // namespace

Look look_at_socks(SocksPhase &phase, std::span<const std::uint8_t> bytes, std::string &scratch,
                   ObservableSink &sink) {
  constexpr std::uint8_t kPassword = 1;
  constexpr std::uint8_t kVersion4 = 4;
  constexpr std::uint8_t kVersion5 = 5;
  const std::uint8_t first = bytes[0];
  if (phase == SocksPhase::None) {
    return first == kVersion4   ? look_at_version4(phase, bytes, scratch, sink)
           : first == kVersion5 ? look_at_greeting(phase, bytes)
                                : kNotMine;
  }
  if (phase == SocksPhase::Greeted && first == kVersion5) {
    return look_at_request(phase, bytes, scratch, sink);
  }
  return phase == SocksPhase::Greeted && first == kPassword ? look_at_password(bytes) : kNotMine;
}

} // namespace outguard::guest
