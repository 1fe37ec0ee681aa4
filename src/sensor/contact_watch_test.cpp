// Regular contacts, from packets on.
#include "intel/guards/allowlist_parser.h"
#include "sensor/match_sink_test_fixture.h"

namespace outguard::sensor {
namespace {

class BeaconTest : public MatchSinkTest {
protected:
  /// Flows of one packet each, a minute apart and never aligned with it.
  void call_home(const Endpoint &remote, int times, std::uint16_t port = 30'000) {
    for (int i = 0; i < times; ++i) {
      auto local = kGuest;
      local.port = port++;
      feed(PacketBuilder(local, remote).udp().payload("0123456789").build(), 61 * kSecond);
      pipeline_.expire(now_ns_);
    }
  }
  [[nodiscard]] std::vector<MatchSeen> beacons() const {
    std::vector<MatchSeen> found;
    std::copy_if(outlet_.matches.begin(), outlet_.matches.end(), std::back_inserter(found),
                 [](const MatchSeen &match) { return match.basis == MatchBasis::Beacon; });
    return found;
  }
};

TEST_F(BeaconTest, IsAFindingOfItsOwnAndOnce) {
  call_home(guest::endpoint("93.184.216.34:8443"), 40);
  end();
  ASSERT_EQ(beacons().size(), 1U);
  EXPECT_EQ(outlet_.matches.size(), 1U);
  EXPECT_EQ(sink_.counts().beacons, 1U);
  EXPECT_EQ(beacons()[0].beacon->score, 100);
  EXPECT_EQ(beacons()[0].beacon->median_interval_ms, 61'000U);
  EXPECT_EQ(beacons()[0].flow.tuple.remote, guest::endpoint("93.184.216.34:8443"));
  EXPECT_TRUE(beacons()[0].indicator.value.empty());
}

TEST_F(BeaconTest, ThatIsAllowedIsNone) {
  const auto octets = [](std::string_view text) {
    return std::span(reinterpret_cast<const std::uint8_t *>(text.data()), text.size());
  };
  intel::IntelCompiler compiler;
  static_cast<void>(compiler.add_feed("listed", octets("evil.com\n")));
  const auto add = compiler.add_source("allowed", intel::Role::Allowed);
  ASSERT_TRUE(add);
  static_cast<void>(intel::parse_allowlist("allowed", octets("93.184.216.34\n"), 0, *add));
  const auto bytes = compiler.compile().image;
  sink_.use(std::make_shared<intel::IntelSet>(
      std::make_shared<intel::IntelImage>(intel::IntelImage::open(bytes).value())));
  call_home(guest::endpoint("93.184.216.34:8443"), 40);
  end();
  EXPECT_TRUE(outlet_.matches.empty());
  EXPECT_EQ(sink_.counts().beacons, 0U);
  EXPECT_EQ(sink_.counts().allowed, 1U);
}

TEST_F(BeaconTest, IsShownInTheAlertOfItsDestination) {
  call_home(kListed, 40);
  end();
  EXPECT_EQ(beacons().size(), 1U);
  ASSERT_EQ(outlet_.matches.size(), 41U) << "each flow is one";
  EXPECT_FALSE(outlet_.matches[0].beacon) << "nothing is known yet";
  ASSERT_TRUE(outlet_.matches[35].beacon);
  EXPECT_EQ(outlet_.matches[35].beacon->score, 100);
}

TEST_F(BeaconTest, OfTimeNamesAndInsideIsNoFindingUnlessListed) {
  for (const char *remote :
       {"93.184.216.34:123", "93.184.216.34:53", "10.0.0.9:8443", "239.255.255.250:1900"}) {
    call_home(guest::endpoint(remote), 40);
  }
  end();
  EXPECT_TRUE(outlet_.matches.empty());
  auto listed = kListed;
  listed.port = 123;
  call_home(listed, 40, 50'000);
  end();
  EXPECT_EQ(beacons().size(), 1U);
}

TEST_F(BeaconTest, WhatComesFromOutsideIsNone) {
  for (int i = 0; i < 40; ++i) {
    auto remote = guest::endpoint("93.184.216.34:1000");
    remote.port = static_cast<std::uint16_t>(remote.port + i);
    feed(PacketBuilder(remote, guest::endpoint("10.0.0.2:80")).udp().payload("x").build(),
         60 * kSecond);
  }
  end();
  EXPECT_TRUE(outlet_.matches.empty());
  EXPECT_EQ(sink_.contacts().contacts, 0U);
}

} // namespace
} // namespace outguard::sensor
