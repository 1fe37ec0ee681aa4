#include "guest/protocols/tls_fingerprint.h"

#include <algorithm>
#include <charconv>

#include "guest/protocols/digest.h"
#include "guest/protocols/text_line.h"

namespace outguard::guest {

namespace {

using Bytes = TlsClientHello::Bytes;

constexpr std::uint16_t kServerName = 0; // IANA, TLS ExtensionType Values
constexpr std::uint16_t kProtocols = 16;
constexpr char kHexDigits[] = "0123456789abcdef";
constexpr std::size_t kHashDigits = 12; ///< of a SHA-256, in JA4
/// GREASE, so no list has it; of a version, which may be it, there is always one in front.
constexpr std::uint16_t kEndOfList = 0x0a0a;

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

/// Numbers in text, `separator` between them, nothing behind the last.
template <class Write>
void append_list(std::span<const std::uint16_t> numbers, char separator, Write write,
                 std::string &out) {
  constexpr std::size_t kMostDigits = 5; // with the separator one more
  const std::size_t start = out.size();
  out.resize(start + numbers.size() * (kMostDigits + 1));
  char *const first = out.data() + start;
  char *to = first;
  for (const std::uint16_t number : numbers) {
    if (to != first) {
      *to++ = separator;
    }
    to = write(number, to);
  }
  out.resize(start + static_cast<std::size_t>(to - first));
}

char *write_hex(std::uint16_t number, char *to) {
  for (int shift = 12; shift >= 0; shift -= 4) {
    *to++ = kHexDigits[number >> shift & 15];
  }
  return to;
}
char *write_decimal(std::uint16_t number, char *to) {
  return std::to_chars(to, to + 5, number).ptr;
}

/// Views numbers as the text that a memo keys by.
std::string_view key_of(std::span<const std::uint16_t> numbers) {
  return {reinterpret_cast<const char *>(numbers.data()), numbers.size_bytes()};
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

void TlsFingerprints::add_numbers(Bytes list) {
  for_each_number(list, [&](std::uint16_t value) { numbers_.push_back(value); });
}

template <class Take> void TlsFingerprints::add_extensions(const TlsClientHello &hello, Take take) {
  for_each_extension(hello.extensions, [&](std::uint16_t type, Bytes) {
    if (!is_grease(type) && take(type)) {
      numbers_.push_back(type);
    }
  });
}

bool TlsFingerprints::ja3(const TlsClientHello &hello, std::string &out) {
  numbers_.assign({hello.legacy_version, kEndOfList});
  add_numbers(hello.cipher_suites);
  numbers_.push_back(kEndOfList);
  add_extensions(hello, [](std::uint16_t) { return true; });
  numbers_.push_back(kEndOfList);
  add_numbers(hello.groups);
  numbers_.push_back(kEndOfList);
  numbers_.insert(numbers_.end(), hello.point_formats.begin(), hello.point_formats.end());

  out.clear();
  return ja3_.append(key_of(numbers_), out, [&](std::string &to) {
    text_.clear();
    auto start = numbers_.begin();
    auto end = start + 1;
    for (;;) {
      append_list({start, end}, '-', write_decimal, text_);
      if (end == numbers_.end()) {
        return append_digest(DigestKind::Md5, as_bytes(text_), to);
      }
      text_ += ',';
      start = end + 1;
      end = std::find(start, numbers_.end(), kEndOfList);
    }
  });
}

bool TlsFingerprints::append_hash_of_text(std::string &out) {
  if (text_.empty()) {
    out.append(kHashDigits, '0');
    return true;
  }
  hex_.clear();
  const bool good = append_digest(DigestKind::Sha256, as_bytes(text_), hex_);
  out.append(hex_, 0, kHashDigits);
  return good;
}

bool TlsFingerprints::append_ja4_ciphers(std::string &out) {
  return ciphers_.append(key_of(numbers_), out, [&](std::string &to) {
    sorted_ = numbers_; // which stay what the memo knows them by
    std::sort(sorted_.begin(), sorted_.end());
    text_.clear();
    append_list(sorted_, ',', write_hex, text_);
    return append_hash_of_text(to);
  });
}

bool TlsFingerprints::append_ja4_extensions(const TlsClientHello &hello, std::string &out) {
  numbers_.clear();
  add_extensions(hello, [](std::uint16_t type) {
    return type != kServerName && type != kProtocols; // the head tells of both
  });
  std::sort(numbers_.begin(), numbers_.end()); // browsers shuffle them
  const auto types = numbers_.size();
  numbers_.push_back(kEndOfList);
  add_numbers(hello.signature_algorithms);
  return extensions_.append(key_of(numbers_), out, [&](std::string &to) {
    const std::span all(numbers_);
    text_.clear();
    append_list(all.first(types), ',', write_hex, text_);
    if (const auto algorithms = all.subspan(types + 1); !algorithms.empty()) {
      text_ += '_';
      append_list(algorithms, ',', write_hex, text_);
    }
    return append_hash_of_text(to);
  });
}

bool TlsFingerprints::ja4(const TlsClientHello &hello, HelloTransport transport, std::string &out) {
  std::size_t extensions = 0;
  for_each_extension(hello.extensions,
                     [&](std::uint16_t type, Bytes) { extensions += is_grease(type) ? 0U : 1U; });
  numbers_.clear();
  add_numbers(hello.cipher_suites);

  out = transport == HelloTransport::Quic ? 'q' : 't';
  out += ja4_version(hello);
  out += hello.server_name ? 'd' : 'i';
  append_two_digits(numbers_.size(), out);
  append_two_digits(extensions, out);
  append_ja4_protocol(first_protocol(hello), out);
  out += '_';
  const bool first_good = append_ja4_ciphers(out);
  out += '_';
  return append_ja4_extensions(hello, out) && first_good;
}

} // namespace outguard::guest
