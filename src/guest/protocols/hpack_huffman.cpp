#include "guest/protocols/hpack_huffman.h"

#include <array>

namespace outguard::guest {

namespace {

constexpr std::size_t kSymbols = 257;
constexpr std::uint16_t kEndOfString = 256;
constexpr unsigned kLongest = 30;
constexpr unsigned kShortest = 5;

/// Bits of each byte's code, and of the end's. The code is canonical: the lengths say it all.
constexpr std::array<std::uint8_t, kSymbols> kLengths{
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, // 0x00
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, // 0x10
    6,  10, 10, 12, 13, 6,  8,  11, 10, 10, 8,  11, 8,  6,  6,  6,  // ' '
    5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8,  15, 6,  12, 10, // '0'
    13, 6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  // '@'
    7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8,  13, 19, 13, 14, 6,  // 'P'
    15, 5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,  // '`'
    6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7,  15, 11, 14, 13, 28, // 'p'
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, // 0x80
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, // 0x90
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, // 0xa0
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, // 0xb0
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, // 0xc0
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, // 0xd0
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, // 0xe0
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, // 0xf0
    30,
};

/// Codes of one length, as numbers of kLongest bits, left-justified: those below `limit` that no
/// shorter length took begin at `first`.
struct Length {
  std::uint32_t first = 0;
  std::uint32_t limit = 0;
  std::uint16_t index = 0; ///< of the symbol of `first`
};
struct Code {
  std::array<Length, kLongest + 1> lengths{};
  std::array<std::uint16_t, kSymbols> symbols{}; ///< by length, then by value
};

constexpr Code kCode = [] {
  Code code;
  std::uint32_t next = 0;
  std::uint16_t index = 0;
  for (unsigned bits = 1; bits <= kLongest; ++bits) {
    code.lengths[bits].first = next;
    code.lengths[bits].index = index;
    for (std::uint16_t symbol = 0; symbol < kSymbols; ++symbol) {
      if (kLengths[symbol] == bits) {
        code.symbols[index++] = symbol;
        next += std::uint32_t{1} << (kLongest - bits);
      }
    }
    code.lengths[bits].limit = next;
  }
  return code;
}();
static_assert(kCode.lengths[kLongest].limit == std::uint32_t{1} << kLongest, "every code is taken");

} // namespace

bool append_huffman(std::span<const std::uint8_t> code, std::string &out) {
  constexpr std::uint32_t kAll = (std::uint32_t{1} << kLongest) - 1;
  std::uint64_t held = 0; ///< the low `bits` bits
  unsigned bits = 0;
  std::size_t at = 0;
  for (;;) {
    while (bits < kLongest && at < code.size()) {
      held = held << 8 | code[at++];
      bits += 8;
    }
    // What is missing at the end counts as ones: padding is the start of the end's code.
    const std::uint32_t window =
        bits >= kLongest
            ? static_cast<std::uint32_t>(held >> (bits - kLongest)) & kAll
            : (static_cast<std::uint32_t>(held << (kLongest - bits)) & kAll) | (kAll >> bits);
    unsigned length = kShortest;
    while (window >= kCode.lengths[length].limit && length < kLongest) {
      ++length;
    }
    const Length &found = kCode.lengths[length];
    if (length > bits) {
      return bits < 8 && window == kAll; // less than a byte of ones
    }
    const std::uint16_t symbol =
        kCode.symbols[found.index + ((window - found.first) >> (kLongest - length))];
    if (symbol == kEndOfString) {
      return false;
    }
    out += static_cast<char>(symbol);
    bits -= length;
  }
}

} // namespace outguard::guest
