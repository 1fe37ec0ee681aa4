#include <gtest/gtest.h>

#include "intel/domain_name.h"
#include "intel/idna.h"

namespace outguard::intel {
namespace {

TEST(Idna, BothFormsOfAName) {
  EXPECT_EQ(to_a_labels("B\xc3\xbc"
                        "cher.example"),
            "xn--bcher-kva.example");
  EXPECT_EQ(to_u_labels("xn--bcher-kva.example"), "b\xc3\xbc"
                                                  "cher.example");
  EXPECT_EQ(to_u_labels("plain.example"), std::nullopt);
}

TEST(Idna, WhatIsNoName) {
  EXPECT_EQ(to_a_labels("\xff.example"), std::nullopt);
  EXPECT_EQ(to_a_labels(std::string("\xc3\xbc\0.de", 6)), std::nullopt);
  EXPECT_EQ(to_a_labels("\xe2\x80\x8d\xc3\xbc.de"), std::nullopt); // a joiner out of context
  EXPECT_EQ(to_u_labels("xn--zzzzzzzzzzz99999999.de"), std::nullopt);
  std::string huge;
  for (int i = 0; i < 2000; ++i) {
    huge += "\xc3\xbc";
  }
  EXPECT_EQ(to_a_labels(huge), std::nullopt);
}

TEST(Idna, CanonicalNamesAreALabels) {
  EXPECT_EQ(normalise_domain("\xd0\x9f\xd0\xa0.\xd1\x80\xd1\x84."), "xn--o1ac.xn--p1ai");
  EXPECT_EQ(normalise_domain("XN--O1AC.com"), "xn--o1ac.com");
}

} // namespace
} // namespace outguard::intel
