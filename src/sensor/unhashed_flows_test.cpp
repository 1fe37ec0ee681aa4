#include <gtest/gtest.h>

#include "sensor/name_servers.h"
#include "sensor/unhashed_flows.h"

namespace outguard::sensor {
namespace {

using namespace std::chrono_literals;

const MonotonicTime kNow{std::chrono::hours(1)};

ProcessSeen process(std::int32_t pid, const char *path = "/usr/bin/tool") {
  ProcessSeen seen;
  seen.identity = {pid, 7, 8};
  seen.exe = GuestText(path);
  return seen;
}

TEST(UnhashedFlows, WhatIsNotListedIsBelievedForAMoment) {
  UnhashedFlows flows;
  EXPECT_TRUE(flows.wants(process(5), kNow));
  flows.settle(process(5), FileVerdict::NotListed, kNow);
  EXPECT_FALSE(flows.wants(process(5), kNow + 900ms));
  EXPECT_TRUE(flows.wants(process(5), kNow + 1s));
  EXPECT_TRUE(flows.wants(process(5, "/tmp/tool"), kNow)) << "it has executed another file";
  EXPECT_TRUE(flows.wants(process(6), kNow));
  flows.forget();
  EXPECT_TRUE(flows.wants(process(5), kNow)) << "other files are listed now";
}

TEST(UnhashedFlows, EachFlowOfAListedFileIsWanted) {
  UnhashedFlows flows;
  flows.settle(process(5), FileVerdict::NotListed, kNow);
  flows.settle(process(5), FileVerdict::Listed, kNow);
  EXPECT_TRUE(flows.wants(process(5), kNow));
}

TEST(UnhashedFlows, WhatCannotBeHashedIsNotReadAgainAndAgain) {
  UnhashedFlows flows;
  flows.settle(process(5), FileVerdict::Unknown, kNow);
  EXPECT_FALSE(flows.wants(process(5), kNow + 59s));
  EXPECT_TRUE(flows.wants(process(5), kNow + 60s));
}

TEST(UnhashedFlows, AKernelThreadRunsNoFile) {
  auto thread = process(5);
  thread.kernel_thread = true;
  EXPECT_FALSE(UnhashedFlows().wants(thread, kNow));
}

TEST(UnhashedFlows, IsBounded) {
  UnhashedFlows flows;
  for (std::size_t i = 0; i < UnhashedFlows::kMostFlows; ++i) {
    MatchSeen match;
    match.flow.flow_id = i;
    EXPECT_TRUE(flows.add(match));
  }
  EXPECT_FALSE(flows.add({}));
  EXPECT_EQ(flows.take()->flow.flow_id, 0U);
  EXPECT_TRUE(flows.add({}));
  for (std::size_t i = 0; i < UnhashedFlows::kMostKnown; ++i) {
    flows.settle(process(static_cast<std::int32_t>(i)), FileVerdict::NotListed, kNow);
  }
  EXPECT_FALSE(flows.wants(process(3), kNow));
  flows.settle(process(-1), FileVerdict::NotListed, kNow);
  EXPECT_TRUE(flows.wants(process(3), kNow)) << "all are looked at anew rather than kept for ever";
}

TEST(NameServers, KnowsFlowsThatCarryQuestions) {
  const auto is = [](const char *local, const char *remote) {
    FlowSeen flow;
    flow.tuple = {17, Endpoint::parse(local).value(), Endpoint::parse(remote).value()};
    return NameServers::is_name_resolution(flow);
  };
  for (const char *remote : {"9.9.9.9:53", "9.9.9.9:853", "224.0.0.251:5353", "[ff02::1:3]:5355"}) {
    EXPECT_TRUE(is("10.0.0.2:40000", remote)) << remote;
    EXPECT_TRUE(is(remote, "10.0.0.2:40000")) << remote;
  }
  EXPECT_FALSE(is("10.0.0.2:40000", "9.9.9.9:443"));
  FlowSeen flow;
  flow.app_protocol = "dns";
  EXPECT_TRUE(NameServers::is_name_resolution(flow)) << "on any port";
  flow = {};
  flow.blind = static_cast<std::uint8_t>(Blindness::DnsOverHttps);
  EXPECT_TRUE(NameServers::is_name_resolution(flow));
  flow.blind = static_cast<std::uint8_t>(Blindness::EncryptedHello);
  EXPECT_FALSE(NameServers::is_name_resolution(flow));
}

} // namespace
} // namespace outguard::sensor
