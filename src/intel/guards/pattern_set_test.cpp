#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "intel/guards/pattern_set.h"

namespace outguard::intel {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(PatternSet, FindsSubstringsAndExpressionsInAnyCase) {
  PatternSet set;
  EXPECT_THAT(set.find("anything"), IsEmpty());
  ASSERT_TRUE(set.add_substring("virus.total", 7));
  ASSERT_TRUE(set.add_regex("/^a[0-9]+\\.example$/i", 9));
  EXPECT_THAT(set.find("www.Virus.Total.com"), ElementsAre(7));
  EXPECT_THAT(set.find("virusxtotal"), IsEmpty()) << "a dot in a substring is a dot";
  EXPECT_THAT(set.find("A12.example"), ElementsAre(9));
  ASSERT_TRUE(set.add_regex("exam.le", 11)); // after a search
  EXPECT_THAT(set.find("a12.example"), ElementsAre(9, 11));
  EXPECT_EQ(set.failures(), 0U);
}

TEST(PatternSet, RefusesWhatCannotBeBounded) {
  PatternSet set;
  EXPECT_FALSE(set.add_regex(R"((a)\1)", 1)); // back-reference
  EXPECT_FALSE(set.add_regex("(?=a)b", 1));   // look-ahead
  EXPECT_FALSE(set.add_regex("(", 1));
  EXPECT_FALSE(set.add_regex("", 1));
  EXPECT_FALSE(set.add_substring("", 1));
  EXPECT_FALSE(set.add_substring(std::string(kMaxPatternBytes + 1, 'a'), 1));
}

TEST(PatternSet, NoExpressionIsSlow) {
  PatternSet set;
  ASSERT_TRUE(set.add_regex("(a+)+b", 1));
  EXPECT_THAT(set.find(std::string(2000, 'a')), IsEmpty());
}

} // namespace
} // namespace outguard::intel
