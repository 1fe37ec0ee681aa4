#include <gtest/gtest.h>

#include "facts/network_rule.h"

namespace outguard {
namespace {

TEST(IpNetwork, ReadsOnlyWhatIsANetwork) {
  for (const char *text : {"10.0.0.0/8", "0.0.0.0/0", "10.1.2.3", "2001:db8::/33", "::/0", "::1"}) {
    const auto network = IpNetwork::parse(text);
    ASSERT_TRUE(network) << text;
    EXPECT_EQ(network->to_string(), text);
  }
  for (const char *text : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/31", "10.0.0.0/8 ",
                           "10.0.0.0/-1", "2001:db8::/129", "2001:db8:4000::/33", "a/8"}) {
    EXPECT_FALSE(IpNetwork::parse(text)) << text;
  }
}

TEST(IpNetwork, ContainsByBits) {
  const auto contains = [](const char *network, const char *address) {
    return IpNetwork::parse(network)->contains(*IpAddress::parse(address));
  };
  EXPECT_TRUE(contains("10.0.0.0/8", "10.255.0.1"));
  EXPECT_FALSE(contains("10.0.0.0/8", "11.0.0.0"));
  EXPECT_TRUE(contains("192.0.2.128/25", "192.0.2.255"));
  EXPECT_FALSE(contains("192.0.2.128/25", "192.0.2.127"));
  EXPECT_TRUE(contains("0.0.0.0/0", "255.255.255.255"));
  EXPECT_FALSE(contains("0.0.0.0/0", "::1"));
  EXPECT_TRUE(contains("2001:db8::1", "2001:db8::1"));
  EXPECT_FALSE(contains("2001:db8::1", "2001:db8::2"));
}

TEST(NetworkRule, IsSaidInWords) {
  const auto end = [](const char *text) { return *Endpoint::parse(text); };
  const auto network = [](const char *text) { return *IpNetwork::parse(text); };
  EXPECT_EQ(to_string(FlowRule{{6, end("10.0.0.2:4000"), end("9.9.9.9:443")}}),
            "tcp 10.0.0.2:4000 <-> 9.9.9.9:443");
  EXPECT_EQ(to_string(RemoteRule{network("2001:db8::/32")}), "remote 2001:db8::/32");
  EXPECT_EQ(to_string(PortRule{17, 53, RuleDirection::Outbound}), "out udp port 53");
  EXPECT_EQ(to_string(IsolationRule{{network("10.0.0.1"), network("10.1.0.0/16")}}),
            "all but 10.0.0.1, 10.1.0.0/16");
  EXPECT_EQ(to_string(IsolationRule{}), "all");
}

} // namespace
} // namespace outguard
