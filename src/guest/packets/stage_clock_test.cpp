#include <numeric>
#include <thread>

#include <gtest/gtest.h>

#include "guest/packets/stage_clock.h"

namespace outguard::guest {
namespace {

using std::chrono::milliseconds;

std::uint64_t of(const StageClock::Times &times, Stage stage) {
  return times[static_cast<std::size_t>(stage)];
}
constexpr std::uint64_t kMilli = 1'000'000;

TEST(StageClock, SharesOutWhatWasNotSampledAndLosesNothing) {
  const auto start = std::chrono::steady_clock::now();
  StageClock clock;
  for (int i = 0; i < 40; ++i) { // 16 of them are sampled
    clock.next_batch();
    const StageScope packets(&clock, Stage::Packets);
    std::this_thread::sleep_for(milliseconds(1));
    {
      const StageScope match(&clock, Stage::Match);
      std::this_thread::sleep_for(milliseconds(3));
      if (i == 30) { // told exactly though the batch is not sampled
        const StageScope report(&clock, Stage::Report);
        std::this_thread::sleep_for(milliseconds(20));
      }
    }
  }
  const auto times = clock.spent();
  const auto elapsed = static_cast<std::uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count());
  const auto sum = std::accumulate(times.begin(), times.end(), std::uint64_t{0});
  EXPECT_LE(sum, elapsed);
  EXPECT_GE(sum + 20 * kMilli, elapsed);
  EXPECT_GE(of(times, Stage::Report), 20 * kMilli);
  // Of all 40 batches, not of 16; sleeps are only ever longer.
  EXPECT_GE(of(times, Stage::Match), (16 * 3 + 24) * kMilli);
  EXPECT_GE(of(times, Stage::Packets), 16 * kMilli);
  EXPECT_EQ(of(times, Stage::Protocols), 0U);
}

TEST(StageClock, WithoutAClockAScopeDoesNothing) {
  const StageScope scope(nullptr, Stage::Match);
  StageClock clock;
  EXPECT_EQ(clock.enter(Stage::Read), Stage::Other);
  EXPECT_EQ(clock.enter(Stage::Other), Stage::Read);
}

} // namespace
} // namespace outguard::guest
