#include <array>

#include <gtest/gtest.h>

#include "guest/linux/flow_hash.h"

namespace outguard::guest {
namespace {

// Values of an implementation written apart from this one; the live guests of tests/system are the
// proof that the kernel's is the same.

FlowTuple tcp(std::string_view local, std::string_view remote) {
  return {6, Endpoint::parse(local).value(), Endpoint::parse(remote).value()};
}

constexpr HashSecrets kSecrets{0x1111'1111, 0x3333'3333, 0x4444'4444};
constexpr std::uint32_t kMix = 0x2222;

TEST(FlowHash, WordsOfAnyNumber) {
  EXPECT_EQ(jhash2({}, 5), 0xdead'bef4);
  EXPECT_EQ(jhash2(std::array<std::uint32_t, 1>{0}, 0), 0x0493'96b8U);
  EXPECT_EQ(jhash2(std::array<std::uint32_t, 3>{1, 2, 3}, 0x1234), 0x050a'4870U);
  EXPECT_EQ(jhash2(std::array<std::uint32_t, 4>{1, 2, 3, 4}, 7), 0xbcb6'2b19U);
}

TEST(FlowHash, AConnection) {
  EXPECT_EQ(established_hash(tcp("10.0.0.1:50000", "203.0.113.66:4444"), kSecrets, kMix),
            0xc4bb'ff00U);
  EXPECT_EQ(established_hash(tcp("[2001:db8::1]:50000", "[2001:db8::66]:443"), kSecrets, kMix),
            0xeb7f'e9b3U);
}

TEST(FlowHash, AListener) {
  const auto at = [](std::string_view text) {
    return listen_hash(Endpoint::parse(text).value(), kMix);
  };
  EXPECT_EQ(at("0.0.0.0:443"), 0x20e5'8c22U);
  EXPECT_EQ(at("[::]:443"), at("0.0.0.0:443"));
  EXPECT_EQ(at("10.0.0.1:443"), 0x605b'23f4U);
  EXPECT_EQ(at("[2001:db8::1]:443"), 0xfca1'98daU);
}

} // namespace
} // namespace outguard::guest
