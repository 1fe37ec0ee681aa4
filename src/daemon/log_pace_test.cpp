#include <gtest/gtest.h>

#include "daemon/log_pace.h"

namespace outguard::daemon {
namespace {

TEST(LogPace, AFewLinesAllPass) {
  LogPace pace;
  const MonotonicTime now{std::chrono::hours(1)};
  for (int i = 0; i < LogPace::kAtOnce; ++i) {
    EXPECT_EQ(pace.take(now), 0U) << i;
  }
}

TEST(LogPace, AFloodIsCountedAndTheNextLineSaysSo) {
  LogPace pace;
  MonotonicTime now{std::chrono::hours(1)};
  int passed = 0;
  for (int i = 0; i < 1000; ++i) {
    passed += pace.take(now) ? 1 : 0;
  }
  EXPECT_EQ(passed, LogPace::kAtOnce);
  now += LogPace::kBetween;
  EXPECT_EQ(pace.take(now), 1000U - LogPace::kAtOnce);
  EXPECT_EQ(pace.take(now), std::nullopt);
}

TEST(LogPace, RestFillsItAndNoFurther) {
  LogPace pace;
  MonotonicTime now{std::chrono::hours(1)};
  for (int i = 0; i < LogPace::kAtOnce; ++i) {
    static_cast<void>(pace.take(now));
  }
  now += std::chrono::hours(24);
  int passed = 0;
  for (int i = 0; i < 100; ++i) {
    passed += pace.take(now) ? 1 : 0;
  }
  EXPECT_EQ(passed, LogPace::kAtOnce);
}

} // namespace
} // namespace outguard::daemon
