#include <gtest/gtest.h>

#include "facts/protection.h"

namespace outguard {
namespace {

TEST(Protection, IsARemoteAPathOrAName) {
  for (const char *what : {"10.0.0.0/8", "192.0.2.1", "2001:db8::/33", "::1", "/srv/db/postgres",
                           "/", "postgres", "kworker-like name", "7zip"}) {
    const auto entry = parse_protection(what);
    ASSERT_TRUE(entry) << what;
    EXPECT_EQ(what_of(*entry), what);
    EXPECT_NE(entry->remote.has_value(), !entry->process.empty()) << what;
  }
}

TEST(Protection, AMappedAddressIsTheOneThatPacketsHave) {
  EXPECT_EQ(what_of(*parse_protection("::ffff:192.0.2.1")), "192.0.2.1");
  EXPECT_EQ(what_of(*parse_protection("::ffff:10.0.0.0/104")), "10.0.0.0/8");
}

TEST(Protection, WhatCouldNotBeMeantIsRefused) {
  for (const std::string &what :
       {std::string(), std::string("10.0.0.1/8"), std::string("0.0.0.0/0"), std::string("::/0"),
        std::string("::ffff:0.0.0.0/96"), std::string("10.0.0.0/33"), std::string("bin/postgres"),
        std::string("42"), std::string("a\nb"), std::string("a\\b"), std::string("\xff"),
        std::string("a\0b", 3), std::string(256, 'n'), "/" + std::string(1024, 'n')}) {
    const auto entry = parse_protection(what);
    ASSERT_FALSE(entry) << what;
    EXPECT_EQ(entry.error().code, ErrorCode::InvalidInput);
  }
}

} // namespace
} // namespace outguard
