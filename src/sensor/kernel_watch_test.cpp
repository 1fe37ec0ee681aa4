#include <gtest/gtest.h>

#include "sensor/kernel_watch.h"

namespace outguard::sensor {
namespace {

using std::chrono::milliseconds;

constexpr MonotonicTime kStart{std::chrono::seconds(1000)};

guest::Pulse ticking(int beat, std::uint64_t memory_end = 100) {
  return {static_cast<std::uint64_t>(beat), memory_end};
}

/// The times after kStart, in looks, at which a doubt is raised.
template <class Beat>
std::vector<int> doubts(KernelWatch &watch, int looks, Beat beat, Doubt wanted) {
  std::vector<int> raised;
  for (int i = 0; i < looks; ++i) {
    if (watch.look(kStart + i * KernelWatch::kInterval, {beat(i), 100}, 0) == wanted) {
      raised.push_back(i);
    }
  }
  return raised;
}

TEST(KernelWatch, RaisesNoDoubtWhileTheClockMoves) {
  KernelWatch watch;
  EXPECT_TRUE(
      doubts(
          watch, 200, [](int i) { return std::optional<std::uint64_t>(i); }, Doubt::ClockStands)
          .empty());
}

TEST(KernelWatch, DoubtsAClockThatStandsEverMoreRarely) {
  KernelWatch watch;
  const auto stands = [](int) { return std::optional<std::uint64_t>(7); };
  // 0.5 s, then 1, 2, 4 and 4 seconds later.
  EXPECT_EQ(doubts(watch, 60, stands, Doubt::ClockStands), (std::vector<int>{2, 6, 14, 30, 46}));
}

TEST(KernelWatch, AClockThatMovedIsDoubtedEarlyAgain) {
  KernelWatch watch;
  const auto moves_once = [](int i) { return std::optional<std::uint64_t>(i < 20 ? 7 : 8); };
  EXPECT_EQ(doubts(watch, 24, moves_once, Doubt::ClockStands), (std::vector<int>{2, 6, 14, 22}));
}

TEST(KernelWatch, AnUnreadableClockStands) {
  KernelWatch watch;
  EXPECT_EQ(doubts(
                watch, 4, [](int) { return std::optional<std::uint64_t>(); }, Doubt::ClockStands),
            std::vector<int>{2});
}

TEST(KernelWatch, MemoryThatIsUsedForSomethingElseIsNoClock) {
  for (const std::uint64_t other :
       {std::uint64_t{0}, std::uint64_t{1} << 40, std::uint64_t{0xffff'8880'1234'5678}}) {
    KernelWatch watch;
    const auto reused = [&](int i) { // once, or at every look
      return std::optional<std::uint64_t>(i < 8   ? 1000 + 60U * static_cast<unsigned>(i)
                                          : other ? other * static_cast<unsigned>(i)
                                                  : 0);
    };
    const auto raised = doubts(watch, 40, reused, Doubt::ClockStands);
    ASSERT_FALSE(raised.empty()) << other;
    EXPECT_EQ(raised.front(), 9) << other << ": half a second after its last tick";
    EXPECT_TRUE(watch.gives_up(kStart + std::chrono::seconds(12))) << other;
  }
}

TEST(KernelWatch, AClockThatCatchesUpWithAllThatItSleptMoves) {
  KernelWatch watch; // CONFIG_HZ=1000, idle for ten seconds
  const auto sleeps = [](int i) {
    return std::optional<std::uint64_t>(i < 40 ? 5 : 10'005 + 250U * static_cast<unsigned>(i - 40));
  };
  static_cast<void>(doubts(watch, 60, sleeps, Doubt::ClockStands));
  EXPECT_FALSE(watch.gives_up(kStart + std::chrono::seconds(20)));
}

TEST(KernelWatch, AClockThatLeapsIsBelievedFromThereOn) { // a snapshot was loaded
  KernelWatch watch;
  const auto leaps = [](int i) {
    return std::optional<std::uint64_t>((i < 20 ? 1'000'000U : 500U) +
                                        60U * static_cast<unsigned>(i));
  };
  EXPECT_TRUE(doubts(watch, 60, leaps, Doubt::ClockStands).empty());
}

TEST(KernelWatch, GivesUpAKernelWhoseClockStandsEverMoreRarely) {
  KernelWatch watch;
  std::vector<int> given_up;
  for (int second = 0; second < 120; ++second) {
    const auto now = kStart + std::chrono::seconds(second);
    static_cast<void>(watch.look(now, ticking(7), 0));
    if (watch.gives_up(now)) {
      given_up.push_back(second);
      watch.reset(); // the same one was found again
    }
  }
  EXPECT_EQ(given_up, (std::vector<int>{10, 31, 72})); // the first look at it is a second later
  static_cast<void>(watch.look(kStart + std::chrono::seconds(120), ticking(7), 0));
  static_cast<void>(watch.look(kStart + std::chrono::seconds(121), ticking(300), 0));
  EXPECT_FALSE(watch.gives_up(kStart + std::chrono::seconds(130)));
  EXPECT_TRUE(watch.gives_up(kStart + std::chrono::seconds(131)));
}

TEST(KernelWatch, AsksForTheLayoutOnceAndNotTooOften) {
  KernelWatch watch;
  std::vector<int> asked;
  for (int i = 0; i < 100; ++i) { // wants something else outside every time
    if (watch.look(kStart + i * KernelWatch::kInterval, ticking(i),
                   static_cast<std::uint64_t>(i)) == Doubt::MemoryOutside) {
      asked.push_back(i);
    }
  }
  EXPECT_EQ(asked, (std::vector<int>{1, 41, 81}));
}

TEST(KernelWatch, OldWantsDoNotAskAgain) {
  KernelWatch watch;
  EXPECT_EQ(watch.look(kStart, ticking(1), 5), Doubt::MemoryOutside);
  EXPECT_EQ(watch.look(kStart + std::chrono::minutes(1), ticking(2), 5), std::nullopt);
}

TEST(KernelWatch, AsksForTheLayoutAsSoonAsMemoryIsPluggedIn) {
  KernelWatch watch;
  EXPECT_EQ(watch.look(kStart, ticking(1), 0), std::nullopt);
  EXPECT_EQ(watch.look(kStart + milliseconds(250), ticking(2, 200), 0), Doubt::MemoryOutside);
  EXPECT_EQ(watch.look(kStart + milliseconds(500), ticking(3, 300), 0), Doubt::MemoryOutside);
  EXPECT_EQ(watch.look(kStart + milliseconds(750), ticking(4, 200), 0), std::nullopt);
}

} // namespace
} // namespace outguard::sensor
