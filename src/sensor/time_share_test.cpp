#include <gtest/gtest.h>

#include "sensor/time_share.h"

namespace outguard::sensor {
namespace {

using std::chrono::milliseconds;

TEST(TimeShareTest, GivesAFifthOfTheTimeAndWhatWasSaved) {
  TimeShare share;
  MonotonicTime now{};
  now += std::chrono::hours(1);
  const auto end = now + milliseconds(10'000);
  milliseconds used{0};
  while (now < end) {
    if (share.has_some(now)) {
      share.spend(now, now + milliseconds(5));
      now += milliseconds(5);
      used += milliseconds(5);
    } else {
      now += milliseconds(1);
    }
  }
  EXPECT_GE(used, milliseconds(2000));
  EXPECT_LE(used, milliseconds(2000) + TimeShare::kMostSaved + milliseconds(5 * TimeShare::kPart));
}

TEST(TimeShareTest, ALongRestSavesNoMoreThanTheLimit) {
  TimeShare share;
  const MonotonicTime now = MonotonicTime{} + std::chrono::hours(24);
  int turns = 0;
  while (share.has_some(now) && turns < 1000) {
    share.spend(now - milliseconds(10), now);
    ++turns;
  }
  EXPECT_EQ(turns, 11); // 100 ms, and the one that goes beyond
}

} // namespace
} // namespace outguard::sensor
