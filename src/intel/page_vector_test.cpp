#include <algorithm>
#include <string_view>

#include <gtest/gtest.h>

#include "intel/page_vector.h"

namespace outguard::intel {
namespace {

TEST(PageVector, KeepsWhatItHoldsWhileItGrows) {
  PageVector<std::uint64_t> numbers;
  EXPECT_TRUE(numbers.empty());
  constexpr std::uint64_t kMany = 1'000'000; // several times what one mapping holds
  for (std::uint64_t i = 0; i < kMany; ++i) {
    numbers.push_back(i);
  }
  ASSERT_EQ(numbers.size(), kMany);
  std::uint64_t expected = 0;
  for (const auto number : numbers) {
    ASSERT_EQ(number, expected++);
  }
}

TEST(PageVector, TakesACopyOfItsOwnElement) {
  PageVector<std::uint64_t> numbers;
  numbers.push_back(7);
  for (int i = 0; i < 100'000; ++i) {
    numbers.push_back(numbers[0]);
  }
  EXPECT_EQ(numbers[100'000], 7U);
}

TEST(PageVector, AppendsAndIsWrittenInPlace) {
  PageVector<char> text;
  text.append(std::string_view("abc"));
  text.append(std::string_view());
  const auto room = text.room(2);
  ASSERT_GE(room.size(), 2U);
  room[0] = 'd';
  text.add_written(1);
  EXPECT_EQ(std::string_view(text.data(), text.size()), "abcd");
}

TEST(PageVector, ZeroedIsZeroAndMovesLeaveNothing) {
  auto zeros = PageVector<std::uint32_t>::zeroed(100'000);
  EXPECT_TRUE(std::all_of(zeros.begin(), zeros.end(), [](auto zero) { return zero == 0; }));
  const auto taken = std::move(zeros);
  EXPECT_EQ(taken.size(), 100'000U);
  zeros = PageVector<std::uint32_t>::zeroed(1);
  EXPECT_EQ(zeros.size(), 1U);
}

} // namespace
} // namespace outguard::intel
