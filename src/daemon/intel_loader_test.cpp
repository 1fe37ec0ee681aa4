#include <gtest/gtest.h>

#include "daemon/intel_loader.h"

namespace outguard::daemon {
namespace {

TEST(IntelLoaderTest, ASourceIsOfWhatItWasGivenAs) {
  EXPECT_TRUE(is_of("partner", "partner"));
  EXPECT_TRUE(is_of("/etc/lists/a.txt", "/etc/lists"));
  EXPECT_TRUE(is_of("/etc/lists/a.txt", "/etc/lists/"));
  EXPECT_TRUE(is_of("all.zip!a.txt", "all.zip"));
}

TEST(IntelLoaderTest, ANameThatBeginsLikeAnotherIsItsOwn) {
  EXPECT_FALSE(is_of("partner-urls", "partner"));
  EXPECT_FALSE(is_of("partner", "partner-urls"));
  EXPECT_FALSE(is_of("/etc/lists.old/a.txt", "/etc/lists"));

  launch::FeedChoice first, second;
  first.name = "partner";
  second.name = "partner-urls";
  const std::vector<launch::FeedChoice> both{first, second};
  EXPECT_EQ(choice_of("partner-urls", both), &both[1]);
  EXPECT_EQ(choice_of("partner", both), &both[0]);
  EXPECT_EQ(choice_of("partners", both), nullptr);
}

TEST(IntelLoaderTest, ASourceIsOfTheLongestThatFits) {
  launch::FeedChoice first, second;
  first.name = "https://feeds.example/list";
  second.name = "https://feeds.example/list/all";
  const std::vector<launch::FeedChoice> both{first, second};
  EXPECT_EQ(choice_of("https://feeds.example/list", both), &both[0]);
  EXPECT_EQ(choice_of("https://feeds.example/list/all", both), &both[1]);
  EXPECT_EQ(choice_of("https://feeds.example/list/all!a.txt", both), &both[1]);
}

} // namespace
} // namespace outguard::daemon
