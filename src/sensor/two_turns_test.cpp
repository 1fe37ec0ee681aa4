#include <array>

#include <gtest/gtest.h>

#include "sensor/two_turns.h"

namespace outguard::sensor {
namespace {

TEST(TwoTurns, NobodyWaitsForAnothersLongOne) {
  constexpr std::array kNumbers = {1, 2, 3, 4};
  std::vector<int> served;
  in_two_turns(
      std::span<const int>(kNumbers),
      [&](int number) {
        const bool is_even = number % 2 == 0;
        if (is_even) {
          served.push_back(number);
        }
        return is_even;
      },
      [&](int number) { served.push_back(-number); });
  EXPECT_EQ(served, (std::vector{2, 4, -1, -3}));
}

TEST(TwoTurns, WhereTheQuickWayIsEnoughThereIsNoOther) {
  constexpr std::array kNumbers = {1, 2};
  in_two_turns(
      std::span<const int>(kNumbers), [](int) { return true; }, [](int) { FAIL(); });
}

} // namespace
} // namespace outguard::sensor
