#include "guest/protocols/tls_fingerprint.h"

#include <algorithm>
#include <charconv>

#include "guest/bytes/byte_cursor.h"

namespace outguard::guest {

namespace {

using Bytes = TlsClientHello::Bytes;

constexpr std::uint16_t kServerName = 0; // IANA, TLS ExtensionType Values
constexpr std::uint16_t kProtocols = 16;
constexpr char kHexDigits[] = "0123456789abcdef";
constexpr std::size_t kHashDigits = 12; ///< of a SHA-256, in JA4

bool is_grease(std::uint16_t value) {
  return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

/// Calls `take` with each number of a list that is not GREASE.
template <class Take> void for_each_number(Bytes numbers, Take take) {
  for (std::size_t at = 0; at + 1 < numbers.size(); at += 2) {
    const auto value = static_cast<std::uint16_t>(numbers[at] << 8 | numbers[at + 1]);
    if (!is_grease(value)) {
      take(value);
    }
  }
}
template <class Take> void for_each_extension(Bytes extensions, Take take) {
  ByteCursor cursor(extensions);
  for (;;) {
    const auto type = cursor.be16();
    const auto length = cursor.be16();
    if (!type || !length || !cursor.skip(*length)) {
      return;
    }
    if (!is_grease(*type)) {
      take(*type);
    }
  }
}

/// Writes lists of decimal numbers as JA3 has them, to where there is room for kMostDecimal a
/// number and a list. To append each to a string costs several times as much.
class DecimalLists {
public:
  static constexpr std::size_t kMostDecimal = 6;

  explicit DecimalLists(char *to) : to_(to) {}
  void operator()(std::uint16_t value) {
    if (!first_) {
      *to_++ = '-';
    }
    first_ = false;
    to_ = std::to_chars(to_, to_ + 5, value).ptr;
  }
  void end_list() {
    *to_++ = ',';
    first_ = true;
  }
  [[nodiscard]] const char *end() const { return to_; }

private:
  char *to_;
  bool first_ = true;
};

void append_hex_list(std::span<const std::uint16_t> numbers, std::string &out) {
  if (numbers.empty()) {
    return;
  }
  const std::size_t start = out.size();
  out.resize(start + numbers.size() * 5 - 1);
  char *to = out.data() + start;
  for (const std::uint16_t number : numbers) {
    if (to != out.data() + start) {
      *to++ = ',';
    }
    for (int shift = 12; shift >= 0; shift -= 4) {
      *to++ = kHexDigits[number >> shift & 15];
    }
  }
}

void append_two_digits(std::size_t count, std::string &out) {
  const auto shown = std::min<std::size_t>(count, 99);
  out += static_cast<char>('0' + shown / 10);
  out += static_cast<char>('0' + shown % 10);
}

const char *ja4_version(const TlsClientHello &hello) {
  std::uint16_t highest = 0;
  for_each_number(hello.versions, [&](std::uint16_t value) { highest = std::max(highest, value); });
  switch (highest != 0 ? highest : hello.legacy_version) {
  case 0x0304:
    return "13";
  case 0x0303:
    return "12";
  case 0x0302:
    return "11";
  case 0x0301:
    return "10";
  case 0x0300:
    return "s3";
  case 0x0002:
    return "s2";
  default:
    return "00";
  }
}

/// First and last character; of its hexadecimal digits where either is no letter and no digit.
void append_ja4_protocol(Bytes protocol, std::string &out) {
  if (protocol.empty()) {
    out += "00";
    return;
  }
  const auto plain = [](std::uint8_t c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  };
  const std::uint8_t first = protocol.front();
  const std::uint8_t last = protocol.back();
  if (plain(first) && plain(last)) {
    out += static_cast<char>(first);
    out += static_cast<char>(last);
    return;
  }
  out += kHexDigits[first >> 4];
  out += kHexDigits[last & 15];
}

} // namespace

bool TlsFingerprints::ja3(const TlsClientHello &hello, std::string &out) {
  const std::size_t most_numbers = 1 + hello.cipher_suites.size() / 2 +
                                   hello.extensions.size() / 4 + hello.groups.size() / 2 +
                                   hello.point_formats.size();
  constexpr std::size_t kLists = 5;
  list_.resize((most_numbers + kLists) * DecimalLists::kMostDecimal);
  DecimalLists lists(list_.data());
  const auto add = [&](std::uint16_t value) { lists(value); };
  lists(hello.legacy_version);
  lists.end_list();
  for_each_number(hello.cipher_suites, add);
  lists.end_list();
  for_each_extension(hello.extensions, add);
  lists.end_list();
  for_each_number(hello.groups, add);
  lists.end_list();
  std::for_each(hello.point_formats.begin(), hello.point_formats.end(), add);
  list_.resize(static_cast<std::size_t>(lists.end() - list_.data()));
  out.clear();
  return md5_.append(list_, out);
}

bool TlsFingerprints::append_hash_of_list(std::string &out) {
  if (list_.empty()) {
    out.append(kHashDigits, '0');
    return true;
  }
  hex_.clear();
  const bool good = sha256_.append(list_, hex_);
  out.append(hex_, 0, kHashDigits);
  return good;
}

bool TlsFingerprints::ja4(const TlsClientHello &hello, HelloTransport transport, std::string &out) {
  std::size_t extensions = 0;
  for_each_extension(hello.extensions, [&](std::uint16_t) { ++extensions; });
  numbers_.clear();
  for_each_number(hello.cipher_suites, [&](std::uint16_t value) { numbers_.push_back(value); });

  out = transport == HelloTransport::Quic ? 'q' : 't';
  out += ja4_version(hello);
  out += hello.server_name ? 'd' : 'i';
  append_two_digits(numbers_.size(), out);
  append_two_digits(extensions, out);
  append_ja4_protocol(first_protocol(hello), out);

  std::sort(numbers_.begin(), numbers_.end());
  list_.clear();
  append_hex_list(numbers_, list_);
  out += '_';
  const bool first_good = append_hash_of_list(out);

  numbers_.clear();
  for_each_extension(hello.extensions, [&](std::uint16_t type) {
    if (type != kServerName && type != kProtocols) { // the head tells of both
      numbers_.push_back(type);
    }
  });
  std::sort(numbers_.begin(), numbers_.end());
  list_.clear();
  append_hex_list(numbers_, list_);
  numbers_.clear();
  for_each_number(hello.signature_algorithms,
                  [&](std::uint16_t value) { numbers_.push_back(value); });
  if (!numbers_.empty()) {
    list_ += '_';
    append_hex_list(numbers_, list_);
  }
  out += '_';
  return append_hash_of_list(out) && first_good;
}

} // namespace outguard::guest
