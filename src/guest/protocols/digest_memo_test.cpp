// The memory says what hashing says, whatever was asked before.
#include <gtest/gtest.h>

#include "guest/protocols/digest_memo.h"

namespace outguard::guest {
namespace {

std::string fresh(const std::string &text) {
  std::string digest;
  const auto *raw = reinterpret_cast<const std::uint8_t *>(text.data());
  EXPECT_TRUE(append_digest(DigestKind::Sha256, {raw, text.size()}, digest));
  return digest;
}

TEST(DigestMemo, SaysWhatHashingSays) {
  DigestMemo memo(DigestKind::Sha256);
  // More texts than places, in rounds: found, pushed out, and put back.
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < 3 * DigestMemo::kPlaces; ++i) {
      const std::string text(i % 7, static_cast<char>('a' + i % 26));
      const auto asked = text + std::to_string(i);
      std::string digest = "before";
      EXPECT_TRUE(memo.append(asked, digest));
      EXPECT_EQ(digest, "before" + fresh(asked));
      EXPECT_TRUE(memo.append(asked, digest));
      EXPECT_EQ(digest, "before" + fresh(asked) + fresh(asked));
    }
  }
}

TEST(DigestMemo, NothingAndTooMuch) {
  DigestMemo memo(DigestKind::Sha256);
  for (const auto &text : {std::string(), std::string(DigestMemo::kMostText + 1, 'x')}) {
    for (int again = 0; again < 2; ++again) {
      std::string digest;
      EXPECT_TRUE(memo.append(text, digest));
      EXPECT_EQ(digest, fresh(text));
    }
  }
}

} // namespace
} // namespace outguard::guest
