#include "guest/protocols/host_name.h"

#include <array>
#include <bit>
#include <charconv>
#include <cstring>

#include <emmintrin.h>

#include "base/ip_address.h"

namespace outguard::guest {

namespace {

constexpr std::size_t kMaxName = 253; ///< RFC 1035: 255 bytes on the wire
constexpr std::size_t kMaxLabel = 63;

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Underscores are not for hosts (RFC 952), but names in use have them.
constexpr bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
}

// Every observed name passes here, so up to 64 bytes are looked at 16 at a time (SSE2, which every
// x86-64 has).
constexpr std::size_t kBlock = sizeof(__m128i);
constexpr std::size_t kShortName = 4 * kBlock;

/// `size` bytes, at most kBlock, and zeros behind them.
__m128i load_block(const char *from, std::size_t size) {
  if (size == kBlock) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i *>(from));
  }
  std::array<char, kBlock> padded{};
  std::memcpy(padded.data(), from, size);
  return _mm_loadu_si128(reinterpret_cast<const __m128i *>(padded.data()));
}

__m128i is_between(__m128i bytes, char first, char last) {
  const auto from_first = _mm_sub_epi8(bytes, _mm_set1_epi8(first));
  const auto span = _mm_set1_epi8(static_cast<char>(last - first));
  return _mm_cmpeq_epi8(_mm_min_epu8(from_first, span), from_first);
}

/// Of a name of at most kShortName bytes; bit n is of byte n.
struct NameBits {
  std::uint64_t plain = 0; ///< is_name_character(), in lower case
  std::uint64_t capital = 0;
  std::uint64_t dots = 0;
  std::uint64_t whole = 0; ///< a bit for each byte
};

/// Writes the name in lower case to `lower`, which has room for kShortName bytes.
NameBits look_at_name(std::string_view name, char *lower) {
  NameBits bits;
  for (std::size_t at = 0; at < name.size(); at += kBlock) {
    const auto given = load_block(name.data() + at, std::min(kBlock, name.size() - at));
    const auto capital = is_between(given, 'A', 'Z');
    const auto small = _mm_or_si128(given, _mm_and_si128(capital, _mm_set1_epi8(0x20)));
    const auto mark = _mm_or_si128(_mm_cmpeq_epi8(small, _mm_set1_epi8('-')),
                                   _mm_cmpeq_epi8(small, _mm_set1_epi8('_')));
    const auto plain =
        _mm_or_si128(mark, _mm_or_si128(is_between(small, 'a', 'z'), is_between(small, '0', '9')));
    _mm_storeu_si128(reinterpret_cast<__m128i *>(lower + at), small);
    const auto bits_of = [at](__m128i mask) {
      return std::uint64_t{static_cast<std::uint32_t>(_mm_movemask_epi8(mask))} << at;
    };
    bits.plain |= bits_of(plain);
    bits.capital |= bits_of(capital);
    bits.dots |= bits_of(_mm_cmpeq_epi8(small, _mm_set1_epi8('.')));
  }
  bits.whole = name.empty() ? 0 : ~std::uint64_t{0} >> (kShortName - name.size());
  return bits;
}

bool is_address(std::string_view name) {
  // An address ends in a digit, or has a colon: spares the parser for nearly every name.
  if (!is_digit(name.back()) && name.find(':') == std::string_view::npos) {
    return false;
  }
  return IpAddress::parse(name).has_value();
}

/// Of one that is no address, and shorter than kShortName.
HostForm form_of_short(const NameBits &bits) {
  const auto labels = bits.plain & ~bits.capital;
  const auto before_dots = bits.dots << 1 | 1; // a label begins where a name or a dot is before it
  const bool good = (labels | bits.dots) == bits.whole && (before_dots & bits.dots) == 0 &&
                    (bits.dots & ~(bits.whole >> 1)) == 0;
  return good ? HostForm::Name : HostForm::Odd;
}

} // namespace

HostForm form_of(std::string_view name) {
  if (name.empty() || name.size() > kMaxName) {
    return HostForm::Odd;
  }
  if (is_address(name)) {
    return HostForm::Address;
  }
  if (name.size() < kShortName) { // no label is too long
    std::array<char, kShortName> unused;
    return form_of_short(look_at_name(name, unused.data()));
  }
  std::size_t label = 0;
  for (const char c : name) {
    if (c == '.' && label > 0) {
      label = 0;
    } else if (!is_name_character(c) || ++label > kMaxLabel) {
      return HostForm::Odd;
    }
  }
  return label > 0 ? HostForm::Name : HostForm::Odd;
}

void append_escaped(std::uint8_t byte, std::string &out) {
  if (byte > ' ' && byte < 0x7f) {
    out += static_cast<char>(byte);
    return;
  }
  out += '\\';
  out += static_cast<char>('0' + byte / 100);
  out += static_cast<char>('0' + byte / 10 % 10);
  out += static_cast<char>('0' + byte % 10);
}

std::optional<std::size_t> append_plain(std::string_view text, std::string &out) {
  const std::size_t start = out.size();
  std::size_t dots = 0;
  while (!text.empty()) {
    std::array<char, kShortName> lower;
    const auto part = text.substr(0, kShortName);
    const auto bits = look_at_name(part, lower.data());
    if ((bits.plain | bits.dots) != bits.whole) {
      out.resize(start);
      return std::nullopt;
    }
    out.append(lower.data(), part.size());
    dots += static_cast<std::size_t>(std::popcount(bits.dots));
    text.remove_prefix(part.size());
  }
  return dots;
}

void append_printable(std::string_view text, std::size_t most, std::string &out) {
  for (const char c : text.substr(0, most)) {
    if (c == ' ') {
      out += c;
    } else {
      append_escaped(static_cast<std::uint8_t>(c), out);
    }
  }
}

std::optional<HostForm> append_host(std::string_view host, std::string &out) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  if (!host.empty() && host.back() == '.') {
    host.remove_suffix(1);
  }
  if (host.empty()) {
    return std::nullopt;
  }
  const std::size_t start = out.size();
  if (!append_plain(host, out)) {
    for (const char c : host) {
      append_escaped(static_cast<std::uint8_t>(to_lower(c)), out);
    }
  }
  return form_of(std::string_view(out).substr(start));
}

Authority split_authority(std::string_view text) {
  const auto colon = text.rfind(':');
  const auto bracket = text.rfind(']');
  const bool port_like = colon != std::string_view::npos &&
                         (bracket == std::string_view::npos
                              ? text.find(':') == colon // a bare IPv6 address has several
                              : colon == bracket + 1);
  if (!port_like) {
    return {text, std::nullopt};
  }
  const auto digits = text.substr(colon + 1);
  if (digits.empty()) {
    return {text.substr(0, colon), std::nullopt};
  }
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size()) {
    return {text, std::nullopt};
  }
  return {text.substr(0, colon), port};
}

} // namespace outguard::guest
