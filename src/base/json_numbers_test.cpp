#include <gtest/gtest.h>

#include "base/json_numbers.h"

namespace outguard {
namespace {

TEST(JsonNumbers, WhatFitsStays) {
  for (const std::string_view json :
       {"", "1", "[9223372036854775807,-9223372036854775808,18446744073709551615]",
        "[1e308,-1.5e-3,0.1234567890123456789012345678901234567890]",
        R"({"a\"18446744073709551616":"99999999999999999999999"})",
        R"(["\\","99999999999999999999999"])", "\"99999999999999999999999", "\"\\", "-", "1e", "+-",
        "99999999999999999999999.5.5"}) {
    EXPECT_EQ(mask_large_numbers(json), "") << json;
  }
}

TEST(JsonNumbers, WhatFitsNothingBecomesAStringOfItsLength) {
  EXPECT_EQ(mask_large_numbers("18446744073709551616"), R"("??????????????????")");
  EXPECT_EQ(mask_large_numbers("-9223372036854775809"), R"("??????????????????")");
  EXPECT_EQ(mask_large_numbers(R"({"a":1e309,"b":[2,-1e9999],"c":"1e309"})"),
            R"({"a":"???","b":[2,"?????"],"c":"1e309"})");
  const std::string digits(100'000, '9');
  EXPECT_EQ(mask_large_numbers("[" + digits + "]"),
            "[\"" + std::string(digits.size() - 2, '?') + "\"]");
}

} // namespace
} // namespace outguard
