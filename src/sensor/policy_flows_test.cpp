#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/policy_wire.h"
#include "sensor/match_sink_test_fixture.h"
#include "sensor/policy_flows.h"

namespace outguard::sensor {
namespace {

using policy::Action;
using policy::Actions;

policy::Rule rule(std::string name, Actions actions) {
  policy::Rule made;
  made.name = std::move(name);
  made.actions = actions;
  return made;
}

/// No guest: who holds a socket is never known.
class PolicyFlowsTest : public MatchSinkTest {
protected:
  void enforce(policy::PolicyParts parts) {
    const auto made = policy::FlowPolicy::make(std::move(parts)).value();
    ASSERT_TRUE(sink_.use(UsePolicy{"web1", policy::encode(made)}));
    static_cast<void>(pipeline_.walk_flows(
        0, 100'000, [&](const guest::Flow &flow) { sink_.look_again(pipeline_, flow); }));
  }
  void deny(std::vector<policy::Rule> rules, Actions unknown = Actions(Action::Alert)) {
    enforce({Actions(Action::Block), unknown, std::move(rules)});
  }
  void wait(std::int64_t time) { sink_.settle(now_ns_ += time); }
  void syn(std::uint16_t port, const char *remote = "9.9.9.9:443") {
    auto local = kGuest;
    local.port = port;
    feed(PacketBuilder(local, guest::endpoint(remote)).tcp(guest::tcp_flag::kSyn, 1000).build());
  }
  std::vector<PolicyMatch> refused() {
    std::vector<PolicyMatch> all;
    for (const auto &match : outlet_.matches) {
      if (match.policy) {
        EXPECT_EQ(match.basis, MatchBasis::Policy);
        all.push_back(*match.policy);
      }
    }
    return all;
  }
  const PolicyFlows::Counts &counts() { return sink_.policy_flows().counts(); }
};

TEST_F(PolicyFlowsTest, WithoutAPolicyNothingIsJudged) {
  syn(40'001);
  EXPECT_EQ(counts().allowed + counts().refused + counts().undecided, 0U);
  EXPECT_TRUE(refused().empty());
}

TEST_F(PolicyFlowsTest, WhatNoRuleFitsIsRefusedByTheDefaultAtItsFirstPacket) {
  auto names = rule("names", Actions());
  names.ports = {{53, 53}};
  deny({names});
  syn(40'001);
  const auto told = refused();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].policy, "web1");
  EXPECT_EQ(told[0].rule, "default");
  EXPECT_EQ(told[0].by, PolicyBy::Default);
  EXPECT_EQ(told[0].actions, Actions(Action::Block));
  EXPECT_TRUE(told[0].answered);
  ask(40'002);
  EXPECT_EQ(refused().size(), 1U) << "a rule allows it";
  EXPECT_EQ(counts().allowed, 1U);
}

TEST_F(PolicyFlowsTest, WhoHoldsItIsAskedOnceMoreBeforeItIsCalledUnknown) {
  auto curl = rule("curl", Actions());
  curl.exes = {"/usr/bin/curl"};
  deny({curl});
  syn(40'001);
  EXPECT_TRUE(refused().empty());
  EXPECT_EQ(sink_.policy_flows().waiting(), 1U);
  wait(PolicyFlows::kOwnerPatience);
  ASSERT_EQ(refused().size(), 1U);
  EXPECT_EQ(refused()[0].rule, "unknown");
  EXPECT_EQ(refused()[0].actions, Actions(Action::Alert));
  EXPECT_EQ(refused()[0].missing, static_cast<std::uint8_t>(PolicyMissing::Process));
  EXPECT_EQ(sink_.policy_flows().waiting(), 0U);
}

TEST_F(PolicyFlowsTest, UnknownMayBeAllowed) {
  auto curl = rule("curl", Actions());
  curl.exes = {"/usr/bin/curl"};
  deny({curl}, Actions());
  syn(40'001);
  wait(PolicyFlows::kOwnerPatience);
  EXPECT_TRUE(refused().empty());
  EXPECT_EQ(counts().undecided, 1U);
}

TEST_F(PolicyFlowsTest, ANameIsWaitedForAndJudgedWhenItIsSeen) {
  auto good = rule("good", Actions());
  good.hosts = {"*.good.com"};
  deny({good});
  ask(40'001, "\3www\4good\3com");
  EXPECT_TRUE(refused().empty());
  ask(40'002); // evil.com
  ASSERT_EQ(refused().size(), 1U);
  EXPECT_EQ(refused()[0].rule, "default");
  EXPECT_EQ(refused()[0].host.raw(), "evil.com");
  // Another name in a flow that was allowed.
  ask(40'001);
  EXPECT_EQ(counts().refused, 2U);
}

TEST_F(PolicyFlowsTest, AFlowWithoutANameIsUnknownWhileItLivesAndHasNoneWhenItEnds) {
  auto good = rule("good", Actions());
  good.hosts = {"good.com"};
  deny({good});
  syn(40'001);
  wait(PolicyFlows::kPatience - 1'000'000);
  EXPECT_TRUE(refused().empty());
  wait(kSecond);
  ASSERT_EQ(refused().size(), 1U);
  EXPECT_EQ(refused()[0].rule, "unknown");
  EXPECT_EQ(refused()[0].missing, static_cast<std::uint8_t>(PolicyMissing::Host));
  syn(40'002);
  pipeline_.finish();
  ASSERT_EQ(refused().size(), 2U);
  EXPECT_EQ(refused()[1].rule, "default");
  EXPECT_EQ(sink_.policy_flows().waiting(), 0U);
}

TEST_F(PolicyFlowsTest, AScanThatNobodyAnswersIsOneAlertAndACount) {
  deny({});
  for (std::uint16_t port = 1; port <= 250; ++port) {
    knock(port, guest::endpoint("203.0.113." + std::to_string(port) + ":5555"));
  }
  wait(kSecond);
  const auto told = refused();
  ASSERT_EQ(told.size(), 3U);
  EXPECT_FALSE(told[0].answered);
  EXPECT_FALSE(told[2].repeat);
  EXPECT_EQ(told[2].flows, 100U);
  EXPECT_EQ(counts().refused, 250U);
  EXPECT_EQ(counts().repeats, 247U);
}

TEST_F(PolicyFlowsTest, RepeatsThatAreToBeBlockedAreToldAsSuchAndNotWithoutEnd) {
  deny({});
  for (std::uint16_t i = 0; i < 1000; ++i) {
    auto local = kGuest;
    local.port = static_cast<std::uint16_t>(10'000 + i);
    feed(PacketBuilder(local, guest::endpoint("9.9.9.9:443"))
             .tcp(guest::tcp_flag::kSyn, 1000)
             .build(),
         1000);
  }
  const auto told = refused();
  EXPECT_LE(told.size(), PolicyFlows::kMostRepeats * 2 + 4);
  EXPECT_EQ(std::count_if(told.begin(), told.end(), [](const auto &one) { return !one.repeat; }),
            4);
  EXPECT_EQ(counts().refused, 1000U);
  EXPECT_EQ(counts().repeats + 4, 1000U);
  EXPECT_EQ(counts().unenforced + told.size(), 1000U);
}

TEST_F(PolicyFlowsTest, AlertsAloneAreNotRepeated) {
  enforce({Actions(Action::Alert), Actions(Action::Alert), {}});
  for (std::uint16_t i = 0; i < 9; ++i) {
    syn(static_cast<std::uint16_t>(10'000 + i));
  }
  EXPECT_EQ(refused().size(), 1U);
}

TEST_F(PolicyFlowsTest, FlowsThatStandAreJudgedByEachPolicyOnce) {
  syn(40'001);
  deny({});
  ASSERT_EQ(refused().size(), 1U);
  syn(40'001); // another packet of it
  EXPECT_EQ(refused().size(), 1U);
  auto https = rule("https", Actions());
  https.ports = {{443, 443}};
  deny({https});
  EXPECT_EQ(counts().allowed, 1U);
  ASSERT_TRUE(sink_.use(UsePolicy{}));
  syn(40'002);
  EXPECT_EQ(counts().allowed, 1U) << "no policy is in force";
}

TEST_F(PolicyFlowsTest, WhatIsMalformedReplacesNothing) {
  deny({});
  EXPECT_FALSE(sink_.use(UsePolicy{"web1", {1, 2, 3}}));
  syn(40'001);
  EXPECT_EQ(refused().size(), 1U);
}

TEST_F(PolicyFlowsTest, HashesAreAskedForOnlyOfKnownProcesses) {
  auto signed_one = rule("signed", Actions());
  signed_one.sha256s = {policy::Sha256{}};
  deny({signed_one});
  syn(40'001);
  EXPECT_FALSE(sink_.has_unhashed()) << "nobody is known to hold it";
}

TEST_F(PolicyFlowsTest, TooManyThatWaitAreSettledEarly) {
  auto good = rule("good", Actions());
  good.hosts = {"good.com"};
  deny({good});
  for (std::size_t i = 0; i < PolicyFlows::kMostWaiting + 5; ++i) {
    auto local = kGuest;
    local.port = static_cast<std::uint16_t>(10'000 + i);
    feed(PacketBuilder(local, guest::endpoint("9.9.9.9:443"))
             .tcp(guest::tcp_flag::kSyn, 1000)
             .build(),
         1000);
  }
  EXPECT_EQ(sink_.policy_flows().waiting(), PolicyFlows::kMostWaiting);
  EXPECT_EQ(counts().hurried, 5U);
}

TEST(PolicyRepeats, CountsByProcessAndRuleAndForgetsWhoIsQuiet) {
  PolicyRepeats repeats;
  const PolicyRepeats::Key key{{1, 2, 3}, "default", true};
  const auto at = [](unsigned n) {
    return *IpAddress::parse("9.9." + std::to_string(n / 256) + "." + std::to_string(n % 256));
  };
  EXPECT_FALSE(repeats.add(key, at(1), kSecond).repeat);
  EXPECT_TRUE(repeats.add(key, at(1), kSecond).repeat);
  for (unsigned n = 2; n <= PolicyRepeats::kMostRemotes; ++n) {
    EXPECT_FALSE(repeats.add(key, at(n), kSecond).repeat);
  }
  const auto beyond = repeats.add(key, at(99), kSecond);
  EXPECT_TRUE(beyond.repeat);
  EXPECT_EQ(beyond.flows, PolicyRepeats::kMostRemotes + 2);
  const auto later = repeats.add(key, at(1), kSecond + PolicyRepeats::kQuiet + 1);
  EXPECT_FALSE(later.repeat);
  EXPECT_EQ(later.flows, 1U);
  for (unsigned n = 0; n < 2 * PolicyRepeats::kMost; ++n) {
    EXPECT_FALSE(repeats.add({{static_cast<std::int32_t>(n), 0, 0}, "r", true}, at(1), 0).repeat);
  }
  EXPECT_FALSE(repeats.add(key, at(1), kSecond).repeat) << "forgotten for others";
}

} // namespace
} // namespace outguard::sensor
