// The memory says what is made, whatever was asked before.
#include <gtest/gtest.h>

#include "guest/protocols/digest_memo.h"

namespace outguard::guest {
namespace {

class DigestMemoTest : public testing::Test {
protected:
  std::string ask(const std::string &key) {
    std::string out = "before";
    EXPECT_TRUE(memo_.append(key, out, [&](std::string &to) {
      ++made_;
      to += "of " + key;
      return true;
    }));
    return out;
  }
  DigestMemo memo_;
  std::size_t made_ = 0;
};

TEST_F(DigestMemoTest, SaysWhatIsMade) {
  // More keys than places, in rounds: found, pushed out, and put back.
  constexpr std::size_t kKeys = 3 * DigestMemo::kPlaces;
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < kKeys; ++i) {
      const auto key = std::string(i % 7, static_cast<char>('a' + i % 26)) + std::to_string(i);
      const auto before = made_;
      EXPECT_EQ(ask(key), "beforeof " + key);
      const auto once = made_;
      EXPECT_EQ(ask(key), "beforeof " + key);
      EXPECT_EQ(made_, once) << "the newest is known";
      EXPECT_LE(once - before, 1U);
    }
  }
  EXPECT_GT(made_, kKeys);
}

TEST_F(DigestMemoTest, NothingAndTooMuch) {
  for (const auto &key : {std::string(), std::string(DigestMemo::kMostKey, 'x')}) {
    made_ = 0;
    EXPECT_EQ(ask(key), ask(key));
    EXPECT_EQ(made_, 1U);
  }
  const std::string long_key(DigestMemo::kMostKey + 1, 'x');
  EXPECT_EQ(ask(long_key), ask(long_key));
  EXPECT_EQ(made_, 3U);
}

TEST_F(DigestMemoTest, WhatCouldNotBeMadeIsAskedAgain) {
  std::string out;
  EXPECT_FALSE(memo_.append("key", out, [](std::string &) { return false; }));
  EXPECT_EQ(out, "");
  EXPECT_EQ(ask("key"), "beforeof key");
}

} // namespace
} // namespace outguard::guest
