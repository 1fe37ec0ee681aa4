#include <vector>

#include <gtest/gtest.h>

#include "daemon/attach_timing.h"

namespace outguard::daemon {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

constexpr MonotonicTime kStart{std::chrono::seconds(1000)};
constexpr milliseconds kStep{50};

/// Milliseconds after kStart at which an attempt is due, looking every 50 ms.
std::vector<int> attempts(AttachRetry &retry, GuestState state, MonotonicTime from, int looks) {
  std::vector<int> due;
  for (int i = 0; i < looks; ++i) {
    if (const auto now = from + i * kStep; retry.is_due(state, now)) {
      due.push_back(static_cast<int>((now - kStart) / milliseconds(1)));
    }
  }
  return due;
}

TEST(AttachRetry, TriesAGuestThatBootsOften) {
  AttachRetry retry(kStart);
  EXPECT_EQ(attempts(retry, GuestState::Booting, kStart, 24),
            (std::vector<int>{250, 550, 850, 1150}));
}

TEST(AttachRetry, TriesWhatCannotBeReadEverMoreRarely) {
  AttachRetry retry(kStart);
  EXPECT_EQ(attempts(retry, GuestState::Unreadable, kStart, 420),
            (std::vector<int>{250, 750, 1750, 3750, 7750, 12750, 17750}));
}

TEST(AttachRetry, AGuestThatNeverLeavesItsFirmwareIsTriedRarely) {
  AttachRetry retry(kStart);
  static_cast<void>(attempts(retry, GuestState::Booting, kStart, 2400)); // two minutes
  const auto later = attempts(retry, GuestState::Booting, kStart + minutes(3), 600);
  EXPECT_LE(later.size(), 10U) << "in 30 s";
}

TEST(AttachRetry, AttemptsThatAreCostlyTakeAFifthOfTheTime) {
  AttachRetry retry(kStart);
  milliseconds spent{0};
  auto now = kStart;
  for (; now < kStart + minutes(1); now += kStep) {
    if (retry.is_due(GuestState::Booting, now)) {
      const auto began = now;
      now += milliseconds(1500); // all RAM is read
      retry.took(began, now);
      spent += milliseconds(1500);
    }
  }
  EXPECT_GE(spent, milliseconds(9'000));
  EXPECT_LE(spent, milliseconds(13'500)) << "of 60 s";
}

TEST(AttachRetry, NoAttemptIsSoCostlyThatTheNextIsFarAway) {
  AttachRetry retry(kStart);
  const auto now = kStart + minutes(10);
  retry.took(kStart, now); // a host that swaps
  EXPECT_FALSE(retry.is_due(GuestState::Booting, now));
  EXPECT_TRUE(retry.is_due(GuestState::Booting, now + minutes(1)));
}

TEST(AttachRetry, AttemptsThatCostLittleAreNotHeldBack) {
  AttachRetry retry(kStart);
  int tries = 0;
  for (int i = 0; i < 62; ++i) { // 3.1 s
    const auto now = kStart + i * kStep;
    if (retry.is_due(GuestState::Booting, now)) {
      retry.took(now, now + milliseconds(30));
      ++tries;
    }
  }
  EXPECT_EQ(tries, 10);
}

TEST(AttachRetry, AStateThatFlapsDoesNotHurryIt) {
  AttachRetry retry(kStart);
  int tries = 0;
  for (int i = 0; i < 200; ++i) { // 2 s
    tries += retry.is_due(i % 2 == 0 ? GuestState::Ready : GuestState::Booting,
                          kStart + i * milliseconds(10))
                 ? 1
                 : 0;
  }
  EXPECT_LE(tries, 7);
}

TEST(PendingDoubt, AFloodIsSettledAtItsPace) {
  PendingDoubt doubts;
  int settled = 0;
  for (int i = 0; i < 10'000; ++i) { // 10 s
    doubts.raise(Doubt::ClockStands);
    settled += doubts.take(kStart + i * milliseconds(1)) ? 1 : 0;
  }
  EXPECT_EQ(settled, 20);
}

TEST(PendingDoubt, NoneIsLost) {
  PendingDoubt doubts;
  EXPECT_EQ(doubts.take(kStart), std::nullopt);
  doubts.raise(Doubt::ClockStands);
  EXPECT_EQ(doubts.take(kStart), Doubt::ClockStands);
  EXPECT_EQ(doubts.take(kStart + minutes(1)), std::nullopt);
  doubts.raise(Doubt::MemoryOutside);
  doubts.raise(Doubt::ClockStands);
  EXPECT_EQ(doubts.take(kStart + milliseconds(499)), std::nullopt);
  EXPECT_EQ(doubts.take(kStart + milliseconds(500)), Doubt::MemoryOutside);
  EXPECT_EQ(doubts.take(kStart + minutes(1)), std::nullopt);
}

} // namespace
} // namespace outguard::daemon
