#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

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

/// A further check against the specification's own vectors, where they are at hand: the folder that
/// holds community-id/baseline/baseline_deflt.json.
TEST(CommunityId, AgreesWithTheBaseline) {
  const char *folder = std::getenv("OUTGUARD_SHARED_DATA");
  std::ifstream file;
  if (folder != nullptr) {
    for (const auto *below : {"/community-id", "/vectors/community-id"}) {
      if (!file.is_open()) {
        file.open(std::string(folder) + below + "/baseline/baseline_deflt.json");
      }
    }
  }
  if (!file.is_open()) {
    GTEST_SKIP() << "no community-id vectors under OUTGUARD_SHARED_DATA";
  }
  const auto rows = nlohmann::json::parse(file);
  EXPECT_GT(rows.size(), 10U);
  const auto port = [](const nlohmann::json &row, const char *name) {
    return row.at(name).is_null() ? std::uint16_t{0} : row.at(name).get<std::uint16_t>();
  };
  for (const auto &row : rows) {
    const auto id =
        community_id(row.at("proto").get<std::uint8_t>(),
                     at(row.at("saddr").get<std::string>().c_str(), port(row, "sport")),
                     at(row.at("daddr").get<std::string>().c_str(), port(row, "dport")));
    EXPECT_EQ(id, row.at("communityid").get<std::string>()) << row.dump();
  }
}

} // namespace
} // namespace outguard::store
