#include "base/printable.h"

#include <cstdint>
#include <optional>

namespace outguard {

namespace {

/// Length of the valid UTF-8 sequence at the start of `bytes` and its code point; nullopt if
/// invalid (overlong, surrogate, beyond U+10FFFF, cut off).
struct Decoded {
  std::size_t length;
  std::uint32_t code_point;
};

std::optional<Decoded> decode_utf8(std::string_view bytes) {
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
  const std::uint8_t lead = at(0);
  if (lead < 0x80) {
    return Decoded{1, lead};
  }
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || bytes.size() < length) {
    return std::nullopt;
  }
  std::uint32_t code_point = lead & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) {
      return std::nullopt;
    }
    code_point = code_point << 6 | (at(i) & 0x3fU);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
  if (code_point < kLeast[length] || code_point > 0x10ffff || surrogate) {
    return std::nullopt;
  }
  return Decoded{length, code_point};
}

/// Characters that move the cursor, hide text or turn its direction.
bool is_dangerous(std::uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c ||
         (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
         (c >= 0xe0000 && c <= 0xe007f);
}

} // namespace

std::string to_printable(std::string_view bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const auto decoded = decode_utf8(bytes);
    const std::size_t length = decoded ? decoded->length : 1;
    const bool kept = decoded && !is_dangerous(decoded->code_point) && decoded->code_point != '\\';
    if (kept) {
      out += bytes.substr(0, length);
    } else {
      for (const char raw : bytes.substr(0, length)) {
        const auto byte = static_cast<std::uint8_t>(raw);
        out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
      }
    }
    bytes.remove_prefix(length);
  }
  return out;
}

bool is_printable(std::string_view text) {
  while (!text.empty()) {
    const auto decoded = decode_utf8(text);
    if (!decoded || is_dangerous(decoded->code_point)) {
      return false;
    }
    text.remove_prefix(decoded->length);
  }
  return true;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto decoded = decode_utf8(text);
    if (!decoded) {
      return false;
    }
    text.remove_prefix(decoded->length);
  }
  return true;
}

} // namespace outguard
