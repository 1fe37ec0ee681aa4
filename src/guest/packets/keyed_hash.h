#pragma once
// SipHash-1-3 over whole 64-bit words (Aumasson and Bernstein, 2012): a table keyed by what guests
// and the network choose must not be predictable to them. Pure functions.

#include <array>
#include <bit>
#include <cstdint>
#include <span>

namespace outguard::guest {

using HashSeed = std::array<std::uint64_t, 2>;

/// From the operating system's random source; call before the sandbox closes.
[[nodiscard]] HashSeed random_seed();

class KeyedHash {
public:
  explicit KeyedHash(const HashSeed &seed)
      : v0_(seed[0] ^ 0x736f6d6570736575), v1_(seed[1] ^ 0x646f72616e646f6d),
        v2_(seed[0] ^ 0x6c7967656e657261), v3_(seed[1] ^ 0x7465646279746573) {}

  void add(std::uint64_t word) {
    v3_ ^= word;
    round();
    v0_ ^= word;
    length_ += sizeof word;
  }
  [[nodiscard]] std::uint64_t finish() {
    add(length_ << 56);
    v2_ ^= 0xff;
    round();
    round();
    round();
    return v0_ ^ v1_ ^ v2_ ^ v3_;
  }

private:
  void round() {
    v0_ += v1_;
    v1_ = std::rotl(v1_, 13) ^ v0_;
    v0_ = std::rotl(v0_, 32);
    v2_ += v3_;
    v3_ = std::rotl(v3_, 16) ^ v2_;
    v0_ += v3_;
    v3_ = std::rotl(v3_, 21) ^ v0_;
    v2_ += v1_;
    v1_ = std::rotl(v1_, 17) ^ v2_;
    v2_ = std::rotl(v2_, 32);
  }

  std::uint64_t v0_, v1_, v2_, v3_;
  std::uint64_t length_ = 0;
};

} // namespace outguard::guest
