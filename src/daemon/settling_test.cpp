#include <gtest/gtest.h>

#include "daemon/settling.h"

namespace outguard::daemon {
namespace {

using std::chrono::milliseconds;

MonotonicTime at(int ms) {
  return MonotonicTime{} + milliseconds(ms);
}

TEST(Settling, WhatDoesNotChangeIsNotTaken) {
  Settling settling(7);
  for (int ms = 0; ms < 10'000; ms += 100) {
    EXPECT_FALSE(settling.look(7, at(ms)));
    EXPECT_FALSE(settling.is_moving());
  }
}

TEST(Settling, AChangeIsTakenOnceItStandsStill) {
  Settling settling(7);
  EXPECT_FALSE(settling.look(8, at(0)));
  EXPECT_TRUE(settling.is_moving());
  EXPECT_FALSE(settling.look(9, at(150))); // still written
  EXPECT_FALSE(settling.look(9, at(349)));
  EXPECT_TRUE(settling.look(9, at(350)));
  EXPECT_FALSE(settling.is_moving());
  EXPECT_FALSE(settling.look(9, at(1000)));
}

TEST(Settling, WhatIsAsItWasAgainIsNothing) {
  Settling settling(7);
  EXPECT_FALSE(settling.look(8, at(0)));
  EXPECT_FALSE(settling.look(7, at(100)));
  EXPECT_FALSE(settling.is_moving());
  EXPECT_FALSE(settling.look(8, at(300))); // counted anew
  EXPECT_FALSE(settling.look(8, at(400)));
  EXPECT_TRUE(settling.look(8, at(500)));
}

TEST(Settling, WhatNeverStandsStillIsTakenInTheEnd) {
  Settling settling(0);
  int taken = 0;
  for (int i = 1; i <= 120; ++i) {
    taken += settling.look(static_cast<std::uint64_t>(i), at(i * 100)) ? 1 : 0;
  }
  EXPECT_EQ(taken, 2); // of 12 s
}

} // namespace
} // namespace outguard::daemon
