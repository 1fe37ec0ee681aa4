#include <gtest/gtest.h>

#include "launch/shrink_guard.h"

namespace outguard::launch {
namespace {

FeedReport feed(std::string name, std::uint64_t accepted, std::string problem = {}) {
  FeedReport report;
  report.name = std::move(name);
  report.accepted = accepted;
  report.problem = std::move(problem);
  return report;
}

using Feeds = std::vector<FeedReport>;

/// What is told of `now` beside `before`.
std::vector<std::string> losses(const Feeds &before, const Feeds &now, unsigned percent = 50) {
  ShrinkGuard guard(percent);
  guard.accept(before);
  std::vector<std::string> texts;
  const auto verdict = guard.judge(now, {});
  for (const auto &loss : verdict.losses) {
    texts.push_back(loss.text());
  }
  EXPECT_EQ(verdict.may_replace(), texts.empty());
  return texts;
}

using Texts = std::vector<std::string>;

TEST(ShrinkGuard, TheFirstSetHasNothingToLose) {
  EXPECT_TRUE(
      ShrinkGuard().judge(Feeds{feed("a", 0, "empty file"), feed("b", 1)}, {}).may_replace());
}

TEST(ShrinkGuard, ASetThatCouldNotBeCompiledNeverReplaces) {
  IntelReport totals;
  totals.problem = "no indicator in any feed";
  const auto verdict = ShrinkGuard().judge({}, totals);
  EXPECT_FALSE(verdict.may_replace());
  EXPECT_EQ(verdict.problem, "no indicator in any feed");
}

TEST(ShrinkGuard, HalfIsLeftIsEnoughAndOneLessIsNot) {
  EXPECT_EQ(losses({feed("a", 1000)}, {feed("a", 500)}), Texts{});
  EXPECT_EQ(losses({feed("a", 1000)}, {feed("a", 499)}),
            Texts{"a: 499 of 1000 entries left (shrunken)"});
  EXPECT_EQ(losses({feed("a", 3)}, {feed("a", 2)}), Texts{});
  EXPECT_EQ(losses({feed("a", 1000)}, {feed("a", 5000)}), Texts{});
}

TEST(ShrinkGuard, TheShareIsTheUsersChoice) {
  EXPECT_EQ(losses({feed("a", 1000)}, {feed("a", 100)}, 90), Texts{});
  EXPECT_EQ(losses({feed("a", 1000)}, {feed("a", 99)}, 90).size(), 1U);
  EXPECT_EQ(losses({feed("a", 1000)}, {feed("a", 999)}, 0).size(), 1U);
  EXPECT_EQ(losses({feed("a", 1000)}, {feed("a", 1)}, 100), Texts{});
  EXPECT_EQ(losses({feed("a", 1000)}, {feed("a", 0)}, 100).size(), 1U) << "empty is never news";
  EXPECT_EQ(losses({feed("a", 1000)}, {feed("a", 1)}, 4'000'000'000U), Texts{});
}

TEST(ShrinkGuard, EachSourceCountsAlone) {
  EXPECT_EQ(losses({feed("a", 100), feed("b", 100'000)}, {feed("a", 0), feed("b", 200'000)}),
            Texts{"a: 0 of 100 entries left (empty)"});
}

TEST(ShrinkGuard, AGoneOrBrokenSourceIsALoss) {
  EXPECT_EQ(losses({feed("a", 100), feed("b", 7)}, {feed("a", 100)}),
            Texts{"b: 0 of 7 entries left (gone)"});
  EXPECT_EQ(losses({feed("a", 100)}, {feed("a", 90, "JSON broken at offset 12")}),
            Texts{"a: 90 of 100 entries left (JSON broken at offset 12)"});
}

TEST(ShrinkGuard, ASourceThatGaveNothingMayGiveNothing) {
  EXPECT_EQ(losses({feed("a", 0, "empty file")}, {feed("a", 0, "empty file")}), Texts{});
}

TEST(ShrinkGuard, DuplicatesAreEntries) {
  auto before = feed("a", 10);
  before.duplicates = 90;
  auto now = feed("a", 90);
  now.duplicates = 0;
  EXPECT_EQ(losses({before}, {now}), Texts{}); // the source whose entries they were is gone
}

TEST(ShrinkGuard, AnAcceptedShrinkIsTheNewMeasure) {
  ShrinkGuard guard;
  guard.accept(Feeds{feed("a", 1000)});
  EXPECT_FALSE(guard.judge(Feeds{feed("a", 10)}, {}).may_replace());
  guard.accept(Feeds{feed("a", 10)});
  EXPECT_TRUE(guard.judge(Feeds{feed("a", 10)}, {}).may_replace());
}

TEST(ShrinkGuard, WhatWasLostStaysKnownUntilItIsAccepted) {
  ShrinkGuard guard;
  guard.restore({{"a", 1000}, {"b", 10}});
  const Feeds now{feed("a", 1), feed("b", 9)};
  const auto verdict = guard.judge(now, {});
  ASSERT_EQ(verdict.losses.size(), 1U);
  guard.accept(now, verdict.losses);
  EXPECT_EQ(guard.entries(), (ShrinkGuard::Entries{{"a", 1000}, {"b", 9}}));
  EXPECT_FALSE(guard.judge(now, {}).may_replace());
  guard.accept(now);
  EXPECT_TRUE(guard.judge(now, {}).may_replace());
}

} // namespace
} // namespace outguard::launch
