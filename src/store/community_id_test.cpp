#include <gtest/gtest.h>

#include "store/community_id.h"

namespace outguard::store {
namespace {

Endpoint at(const char *address, std::uint16_t port) {
  return {IpAddress::parse(address).value(), port};
}

// Computed from the specification's formula with another SHA-1 than OpenSSL's.
TEST(CommunityId, AgreesWithTheFormula) {
  EXPECT_EQ(community_id(6, at("10.0.0.2", 4312), at("45.9.20.7", 443)),
            "1:BKM5dRONQLURLk1kKk3ehfb6YIs=");
  EXPECT_EQ(community_id(17, at("10.9.0.2", 53001), at("10.0.0.1", 53)),
            "1:ubVYa77FvPPPw4S6VXREXQ7WxsM=");
  EXPECT_EQ(community_id(6, at("fd00::2", 5000), at("fd00::1", 22)),
            "1:EAeoHiJHUX+quBajbvubscle5qo=");
  EXPECT_EQ(community_id(46, at("10.0.0.2", 7), at("10.0.0.1", 9)),
            "1:dCjRyIB3edOtrQeRTaUbPd5raRE="); // RSVP: no ports
}

TEST(CommunityId, IsTheSameBothWays) {
  EXPECT_EQ(community_id(6, at("fd00::2", 1), at("fd00::1", 2)),
            community_id(6, at("fd00::1", 2), at("fd00::2", 1)));
  EXPECT_EQ(community_id(6, at("10.0.0.1", 9), at("10.0.0.1", 8)),
            community_id(6, at("10.0.0.1", 8), at("10.0.0.1", 9)));
  EXPECT_NE(community_id(6, at("10.0.0.1", 9), at("10.0.0.2", 8)),
            community_id(6, at("10.0.0.1", 8), at("10.0.0.2", 9)));
}

TEST(CommunityId, OneWayIcmpKeepsItsOrder) {
  EXPECT_EQ(community_id(1, at("1.2.3.4", 8), at("5.6.7.8", 0)),
            community_id(1, at("5.6.7.8", 0), at("1.2.3.4", 8)));
  EXPECT_NE(community_id(1, at("1.2.3.4", 11), at("5.6.7.8", 0)),
            community_id(1, at("5.6.7.8", 11), at("1.2.3.4", 0)));
}

} // namespace
} // namespace outguard::store
