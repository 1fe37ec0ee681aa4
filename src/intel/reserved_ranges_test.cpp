#include <set>

#include <gtest/gtest.h>

#include "intel/reserved_ranges.h"

namespace outguard::intel {
namespace {

IpNetwork network(std::string_view address, std::uint8_t prefix) {
  return {IpAddress::parse(address).value(), prefix};
}

TEST(ReservedRanges, EveryFirstOctetIsJudgedAsTheRegistriesSay) {
  const std::set<unsigned> touched{0, 10, 100, 127, 169, 172, 192, 198, 203};
  for (unsigned octet = 0; octet < 256; ++octet) {
    const auto text = std::to_string(octet) + ".0.0.0";
    EXPECT_EQ(reserved_reason(network(text, 8), ReservedPolicy::Refuse).has_value(),
              octet >= 224 || touched.contains(octet))
        << text;
  }
}

TEST(ReservedRanges, ANetworkNeedOnlyTouchOne) {
  const auto reason = [](std::string_view address, std::uint8_t prefix) {
    return reserved_reason(network(address, prefix), ReservedPolicy::Refuse);
  };
  EXPECT_EQ(reason("192.0.2.255", 32), RejectReason::DocumentationRange);
  EXPECT_EQ(reason("192.0.3.0", 32), std::nullopt);
  EXPECT_EQ(reason("8.0.0.0", 7), std::nullopt);
  EXPECT_EQ(reason("8.0.0.0", 6), RejectReason::PrivateRange); // to 11.255.255.255
  EXPECT_EQ(reason("255.255.255.255", 32), RejectReason::ReservedRange);
  EXPECT_EQ(reason("fe80::1", 128), RejectReason::ReservedRange);
  EXPECT_EQ(reason("fdff::", 16), RejectReason::PrivateRange);
  EXPECT_EQ(reason("2001:db9::", 32), std::nullopt);
  EXPECT_EQ(reason("2000::", 3), RejectReason::DocumentationRange);
  EXPECT_EQ(reason("::", 0), RejectReason::ReservedRange);
}

TEST(ReservedRanges, NamesAreReservedAtTheirEndOnly) {
  for (const auto *name : {"localhost", "x.localhost", "a.example.com", "4.in-addr.arpa"}) {
    EXPECT_TRUE(is_reserved_name(name, ReservedPolicy::Refuse)) << name;
  }
  for (const auto *name : {"", "t", "notexample.com", "example.com.evil.net", "latest"}) {
    EXPECT_FALSE(is_reserved_name(name, ReservedPolicy::Refuse)) << name;
  }
  EXPECT_FALSE(is_reserved_name("a.example.com", ReservedPolicy::Allow));
  EXPECT_TRUE(is_reserved_name("x.localhost", ReservedPolicy::Allow));
}

} // namespace
} // namespace outguard::intel
