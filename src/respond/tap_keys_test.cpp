// Rules as keys and back, and what is read of nftables' text. The rest is shown on a real tap.
#include <gtest/gtest.h>

#include "respond/nft_text.h"
#include "respond/tap_filter.h"
#include "respond/tap_keys.h"

namespace outguard::respond {
namespace {

using namespace std::chrono_literals;

TEST(TapKeys, AFlowComesBackAsItWas) {
  for (const auto &[local, remote] :
       {std::pair("10.0.0.2:65535", "9.9.9.9:443"), std::pair("[fd00::2]:1", "[2001:db8::1]:53")}) {
    const FlowTuple flow{17, *Endpoint::parse(local), *Endpoint::parse(remote)};
    EXPECT_EQ(flow_of(key_of(flow)), flow);
  }
  const auto key =
      key_of(FlowTuple{6, *Endpoint::parse("10.0.0.2:1"), *Endpoint::parse("9.8.7.6:2")});
  EXPECT_EQ(key.family, 4);
  EXPECT_EQ(key.local[0], 10);
  EXPECT_EQ(key.remote[3], 6);
  EXPECT_EQ(key.remote[4], 0);
  EXPECT_EQ(key.local_port, 1);
}

TEST(TapKeys, FamilyAndGenerationBelongToTheNetworksPrefix) {
  for (const char *text : {"0.0.0.0/0", "10.0.0.0/8", "9.9.9.9", "::/0", "2001:db8::/33", "::1"}) {
    const auto network = *IpNetwork::parse(text);
    const auto key = key_of(network, 0xabcdef);
    EXPECT_EQ(network_of(key), network);
    EXPECT_EQ(generation_of(key), 0xabcdefU);
    EXPECT_EQ(key.prefix_length, 32U + network.prefix_length);
  }
  EXPECT_NE(key_of(*IpNetwork::parse("0.0.0.0/0")).kind[0],
            key_of(*IpNetwork::parse("::/0")).kind[0]);
  EXPECT_EQ(generation_of(key_of(*IpNetwork::parse("::/0"), 0x1000001)), 1U) << "24 bits";
}

TEST(CheckRule, RefusesWhatMakesNoSense) {
  const auto code = [](const NetworkRule &rule) { return check_rule(rule, 60s).error().code; };
  IpNetwork stray{*IpAddress::parse("10.0.0.1"), 8};
  EXPECT_EQ(code(RemoteRule{stray}), ErrorCode::InvalidInput);
  stray.prefix_length = 200;
  EXPECT_EQ(code(RemoteRule{stray}), ErrorCode::InvalidInput);
  const FlowTuple mixed{6, *Endpoint::parse("10.0.0.1:1"), *Endpoint::parse("[::1]:1")};
  EXPECT_EQ(code(FlowRule{mixed}), ErrorCode::InvalidInput);
  EXPECT_EQ(code(PortRule{1, 22, RuleDirection::Both}), ErrorCode::Unsupported);
  const auto one = *IpNetwork::parse("10.0.0.1");
  const auto two = *IpNetwork::parse("10.0.0.2");
  EXPECT_EQ(code(IsolationRule{{two, one}}), ErrorCode::InvalidInput);
  EXPECT_EQ(code(IsolationRule{{one, one}}), ErrorCode::InvalidInput);
  EXPECT_EQ(code(IsolationRule{std::vector(kMostAllowed + 1, one)}), ErrorCode::LimitReached);
  EXPECT_TRUE(check_rule(IsolationRule{{one, two}}, kMostRuleTtl));
  EXPECT_FALSE(check_rule(IsolationRule{}, kMostRuleTtl + 1s));
  EXPECT_FALSE(check_rule(IsolationRule{}, 0s));
}

TEST(NftText, ReadsSetsAndCountersOfATable) {
  const auto table = parse_nft_table("table netdev outguard_tap.0 {\n"
                                     "\tcounter flow_drops {\n\t\tpackets 12 bytes 99\n\t}\n\n"
                                     "\tset ports_in {\n\t\ttype inet_proto . inet_service\n"
                                     "\t\tsize 65536\n\t\tflags timeout\n"
                                     "\t\telements = { 6 . 22 timeout 1m expires 59s10ms,\n"
                                     "\t\t\t     17 . 53 timeout 2d expires 1d23h1m }\n\t}\n\n"
                                     "\tset isolated {\n\t\ttype ifname\n\t\tflags timeout\n"
                                     "\t\telements = { \"tap.0\" timeout 1s expires 4ms }\n\t}\n"
                                     "\tset empty {\n\t\ttype ifname\n\t}\n"
                                     "\tchain c {\n\t\tmeta l4proto 6 drop\n\t}\n}\n");
  EXPECT_EQ(table.packets.at("flow_drops"), 12U);
  const auto &ports = table.sets.at("ports_in");
  ASSERT_EQ(ports.size(), 2U);
  EXPECT_EQ(ports[0].fields, (std::vector<std::string>{"6", "22"}));
  EXPECT_EQ(ports[0].left, 60s) << "rounded up";
  EXPECT_EQ(ports[1].left, 47h + 1min);
  ASSERT_EQ(table.sets.at("isolated").size(), 1U);
  EXPECT_EQ(table.sets.at("isolated")[0].fields, std::vector<std::string>{"tap.0"});
  EXPECT_EQ(table.sets.at("isolated")[0].left, 1s);
  EXPECT_TRUE(table.sets.at("empty").empty());
}

TEST(NftText, WhatMakesNoSenseIsLeftOut) {
  EXPECT_TRUE(parse_nft_table("").sets.empty());
  EXPECT_TRUE(parse_nft_table("set x {").sets.at("x").empty());
  EXPECT_TRUE(parse_nft_table("set x {\n elements = { 6 . 22, , }\n\t}").sets.at("x").empty());
  EXPECT_EQ(parse_nft_expiry("1 timeout 5s"), std::nullopt);
  EXPECT_EQ(parse_nft_expiry("1 timeout 5s expires 99999999999999999d"), std::nullopt);
}

} // namespace
} // namespace outguard::respond
