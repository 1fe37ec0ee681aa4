#include <thread>

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include "sensor/short_slices.h"

namespace outguard::sensor {
namespace {

TEST(ShortSlices, AreShortAndNothingElseChanges) {
  std::thread([] {
    const int nice = ::getpriority(PRIO_PROCESS, 0);
    const int policy = ::sched_getscheduler(0);
    const auto slice = ask_for_short_slices();
    EXPECT_EQ(::getpriority(PRIO_PROCESS, 0), nice);
    EXPECT_EQ(::sched_getscheduler(0), policy);
    if (slice == 0) {
      GTEST_SKIP() << "this kernel gives no thread a slice of its own (Linux 6.12)";
    }
    EXPECT_EQ(slice, 400'000U);
  }).join();
}

} // namespace
} // namespace outguard::sensor
