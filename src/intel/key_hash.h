#pragma once
// The seeded hash of indicator keys: a chain of folded 64 x 64 -> 128 bit multiplications. A guest
// chooses names that are looked up and a feed chooses keys, so neither may know the seed. Domain
// names are hashed label by label from the right: the hash of every parent falls out on the way.

#include <cstdint>
#include <cstring>
#include <string_view>

#include "facts/flow_seen.h"

namespace outguard::intel {

struct HashSeed {
  std::uint64_t start = 0;
  std::uint64_t multiplier = 0;

  auto operator<=>(const HashSeed &) const = default;
};

class KeyHash {
public:
  explicit KeyHash(HashSeed seed) : seed_(seed) {}

  /// `kind`: an IndicatorType, and what the index adds to it.
  [[nodiscard]] std::uint64_t start(std::uint8_t kind, std::uint8_t prefix) const {
    return fold(seed_.start ^ (std::uint64_t{prefix} << 8 | kind), 0);
  }

  /// Appends a chunk. Chunk borders count: "ab" + "c" is not "a" + "bc".
  [[nodiscard]] std::uint64_t add(std::uint64_t state, std::string_view chunk) const {
    const std::uint64_t size = chunk.size();
    while (chunk.size() >= sizeof(std::uint64_t)) {
      state = fold(state ^ load<std::uint64_t>(chunk.data()), 0);
      chunk.remove_prefix(sizeof(std::uint64_t));
    }
    return fold(state ^ load_short(chunk), size);
  }

  /// Eight bytes, without an end of a chunk.
  [[nodiscard]] std::uint64_t add_word(std::uint64_t state, const char *bytes) const {
    return fold(state ^ load<std::uint64_t>(bytes), 0);
  }

  /// The whole key at once; not for domains.
  [[nodiscard]] std::uint64_t of(std::uint8_t kind, std::uint8_t prefix,
                                 std::string_view bytes) const {
    return add(start(kind, prefix), bytes);
  }
  [[nodiscard]] std::uint64_t of_domain(std::uint8_t kind, std::string_view bytes) const {
    auto state = start(kind, 0);
    for (std::size_t end = bytes.size();;) {
      const auto label_start = label_before(bytes, end);
      state = add(state, bytes.substr(label_start, end - label_start));
      if (label_start == 0) {
        return state;
      }
      end = label_start - 1;
    }
  }

  /// Where the label that ends before `end` begins.
  [[nodiscard]] static std::size_t label_before(std::string_view name, std::size_t end) {
    const void *dot = ::memrchr(name.data(), '.', end);
    return dot == nullptr
               ? 0
               : static_cast<std::size_t>(static_cast<const char *>(dot) - name.data()) + 1;
  }

private:
  /// `salt` makes the multiplier odd and different for each chunk length.
  [[nodiscard]] std::uint64_t fold(std::uint64_t value, std::uint64_t salt) const {
    __extension__ using Wide = unsigned __int128;
    const Wide product = Wide{value} * ((seed_.multiplier + 2 * salt) | 1);
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }
  template <class T> [[nodiscard]] static std::uint64_t load(const char *from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
  }
  /// 0 to 7 bytes as one word.
  [[nodiscard]] static std::uint64_t load_short(std::string_view bytes) {
    const auto size = bytes.size();
    const auto *data = bytes.data();
    if (size >= sizeof(std::uint32_t)) {
      return load<std::uint32_t>(data) | load<std::uint32_t>(data + size - sizeof(std::uint32_t))
                                             << 32;
    }
    if (size == 0) {
      return 0;
    }
    return load<std::uint8_t>(data) | load<std::uint8_t>(data + size / 2) << 8 |
           load<std::uint8_t>(data + size - 1) << 16;
  }

  HashSeed seed_;
};

/// From the kernel's random numbers.
[[nodiscard]] HashSeed random_seed();

} // namespace outguard::intel
