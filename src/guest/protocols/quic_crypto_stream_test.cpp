#include <gtest/gtest.h>

#include "guest/protocols/quic_crypto_stream.h"
#include "guest/testing/packet_builder.h"

namespace outguard::guest {
namespace {

std::string beginning(const QuicCryptoStream &stream) {
  const auto bytes = stream.beginning();
  return {bytes.begin(), bytes.end()};
}

TEST(QuicCryptoStream, AnyOrder) {
  QuicCryptoStream stream;
  EXPECT_TRUE(stream.add(6, bytes_of("gh")));
  EXPECT_TRUE(stream.add(2, bytes_of("cd")));
  EXPECT_EQ(beginning(stream), "");
  EXPECT_TRUE(stream.add(0, bytes_of("ab")));
  EXPECT_EQ(beginning(stream), "abcd");
  EXPECT_TRUE(stream.add(4, bytes_of("ef")));
  EXPECT_EQ(beginning(stream), "abcdefgh");
  stream.clear();
  EXPECT_EQ(beginning(stream), "");
  EXPECT_TRUE(stream.empty());
}

TEST(QuicCryptoStream, WhatCameFirstStays) {
  QuicCryptoStream stream;
  EXPECT_TRUE(stream.add(2, bytes_of("CD")));
  EXPECT_TRUE(stream.add(6, bytes_of("GH")));
  EXPECT_TRUE(stream.add(0, bytes_of("abcdefghij")));
  EXPECT_EQ(beginning(stream), "abCDefGHij");
  EXPECT_TRUE(stream.add(3, bytes_of("xxx")));
  EXPECT_EQ(beginning(stream), "abCDefGHij");
  EXPECT_TRUE(stream.add(8, bytes_of("xxKL")));
  EXPECT_EQ(beginning(stream), "abCDefGHijKL");
}

TEST(QuicCryptoStream, Limits) {
  QuicCryptoStream stream;
  const Bytes most(QuicCryptoStream::kMostBytes, 'x');
  EXPECT_FALSE(stream.add(1, most));
  EXPECT_FALSE(stream.add(UINT64_MAX, bytes_of("a")));
  EXPECT_TRUE(stream.add(0, {}));
  EXPECT_TRUE(stream.empty());
  for (std::size_t i = 0; i < QuicCryptoStream::kMostPieces; ++i) {
    EXPECT_TRUE(stream.add(2 * i + 1, bytes_of("a")));
  }
  EXPECT_FALSE(stream.add(1000, bytes_of("a"))); // another gap
  EXPECT_TRUE(stream.add(0, most));              // none any more
  EXPECT_EQ(stream.beginning().size(), most.size());
  EXPECT_EQ(beginning(stream).substr(0, 4), "xaxa");
}

} // namespace
} // namespace outguard::guest
