#include <gtest/gtest.h>

#include "guest/testing/message_builder.h"
#include "policy/policy_wire.h"
#include "sensor/hold_judge.h"
#include "sensor/match_sink_test_fixture.h"

namespace outguard::sensor {
namespace {

using guest::bytes_of;
using guest::endpoint;

constexpr std::optional<HoldVerdict> kDropped = std::nullopt;

class HoldJudgeTest : public MatchSinkTest {
protected:
  HoldJudgeTest() {
    judge_.use(rules(), true);
    list("45.9.20.7\n45.9.20.8:443\n");
  }

  static HoldRules rules() {
    HoldRules rules;
    rules.rules = {{{}, 0, true}};
    rules.by_kind.assign(kObservableKinds, Refusal::Flow);
    rules.by_kind[static_cast<std::size_t>(ObservableKind::DnsName)] = Refusal::Packet;
    rules.by_kind[static_cast<std::size_t>(ObservableKind::MailHost)] = Refusal::None;
    rules.protected_networks = {*IpNetwork::parse("45.9.21.0/24")};
    return rules;
  }
  void list(std::string_view entries) {
    use(entries);
    judge_.use(std::make_shared<intel::IntelSet>(open(entries)));
  }
  std::optional<HoldVerdict> judge(const Bytes &frame,
                                   FlowDirection direction = FlowDirection::ToRemote) {
    guest::PacketView view;
    view.bytes = frame;
    view.original_length = static_cast<std::uint32_t>(frame.size());
    view.timestamp_ns = now_ns_ += 1'000'000;
    view.direction = direction;
    return judge_.judge(view);
  }
  static Bytes syn(const char *to) {
    return PacketBuilder(kGuest, endpoint(to)).tcp(guest::tcp_flag::kSyn, 1000).build();
  }
  static Bytes question(const char *name, std::uint16_t port = 40000) {
    Bytes payload{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    for (const char *c = name; *c != '\0'; ++c) {
      payload.push_back(static_cast<std::uint8_t>(*c));
    }
    payload.insert(payload.end(), {0, 0, 1, 0, 1});
    auto local = kGuest;
    local.port = port;
    return PacketBuilder(local, endpoint("9.9.9.9:53")).udp().payload(payload).build();
  }
  void adds_up() const {
    const auto &counts = judge_.counts();
    EXPECT_EQ(counts.judged,
              counts.allowed + counts.refused + counts.once + counts.followed + counts.dropped);
  }

  PolicyJudge policy_;
  HoldJudge judge_{policy_, sink_.owners(), sink_.held()};
};

TEST_F(HoldJudgeTest, RefusesListedRemoteEndsOfEveryProtocol) {
  EXPECT_EQ(judge(syn("45.9.20.7:80")), HoldVerdict::Refuse);
  EXPECT_EQ(judge(syn("45.9.20.7:80")), HoldVerdict::Refuse) << "each time it is tried";
  EXPECT_EQ(judge(syn("45.9.20.8:443")), HoldVerdict::Refuse);
  EXPECT_EQ(judge(syn("45.9.20.8:444")), HoldVerdict::Allow);
  EXPECT_EQ(judge(PacketBuilder(kGuest, kListed).udp().payload("x").build()), HoldVerdict::Refuse);
  const Endpoint from{kGuest.address, 0};
  EXPECT_EQ(judge(PacketBuilder(from, {kListed.address, 0}).icmp(8, 0).build()),
            HoldVerdict::Refuse);
  EXPECT_EQ(judge(PacketBuilder(kListed, kGuest).tcp(guest::tcp_flag::kSyn, 1).build(),
                  FlowDirection::ToGuest),
            HoldVerdict::Refuse);
  EXPECT_EQ(judge_.counts().refused, 6U);
  adds_up();
}

TEST_F(HoldJudgeTest, RefusesNoMoreThanThePolicyBlocks) {
  auto some = rules();
  some.rules = {{{IndicatorType::Endpoint}, 0, false}, {{}, 101, true}};
  judge_.use(some, true);
  EXPECT_EQ(judge(syn("45.9.20.7:80")), HoldVerdict::Allow);
  some.rules = {{{IndicatorType::Endpoint}, 0, false}, {{}, 0, true}};
  judge_.use(some, true);
  EXPECT_EQ(judge(syn("45.9.20.8:443")), HoldVerdict::Allow);
  EXPECT_EQ(judge(syn("45.9.20.7:80")), HoldVerdict::Refuse);
  list("45.9.21.3\n");
  EXPECT_EQ(judge(syn("45.9.21.3:80")), HoldVerdict::Allow) << "protected";
}

TEST_F(HoldJudgeTest, WithoutIntelligenceAllIsAllowed) {
  judge_.use(nullptr);
  EXPECT_EQ(judge(syn("45.9.20.7:80")), HoldVerdict::Allow);
}

TEST_F(HoldJudgeTest, WhatCannotBeReadGoesAsADeadJudgeWouldHaveIt) {
  EXPECT_EQ(judge(bytes_of("no frame")), HoldVerdict::Allow);
  judge_.use(rules(), false);
  EXPECT_EQ(judge(bytes_of("no frame")), HoldVerdict::Refuse);
  EXPECT_EQ(judge_.counts().unreadable, 2U);
  adds_up();
}

TEST_F(HoldJudgeTest, AFirstFragmentIsJudgedByItsPorts) {
  const auto part = [](const char *to) {
    return PacketBuilder(kGuest, endpoint(to))
        .udp()
        .payload("12345678")
        .ipv4_fragment(0, true)
        .build();
  };
  EXPECT_EQ(judge(part("45.9.20.8:443")), HoldVerdict::Refuse);
  EXPECT_EQ(judge(part("45.9.20.8:444")), HoldVerdict::Allow);
}

TEST_F(HoldJudgeTest, AConnectionStaysHeldForItsName) {
  list("evil.com\n");
  for (const auto &[name, verdict] : {std::pair{"www.evil.com", HoldVerdict::Refuse},
                                      std::pair{"good.com", HoldVerdict::Allow}}) {
    TcpTalk talk({kGuest.address, verdict == HoldVerdict::Allow ? std::uint16_t{1} : kGuest.port},
                 endpoint("9.9.9.9:443"));
    EXPECT_EQ(judge(talk.syn()), HoldVerdict::Once);
    const auto hello = guest::client_hello({.server_name = name});
    const auto half = static_cast<std::ptrdiff_t>(hello.size() / 2);
    EXPECT_EQ(judge(talk.from_client({hello.begin(), hello.begin() + half})), HoldVerdict::Once);
    EXPECT_EQ(judge(talk.from_client({hello.begin() + half, hello.end()})), verdict) << name;
  }
  adds_up();
}

TEST_F(HoldJudgeTest, ARequestsHostIsJudged) {
  list("evil.com\n");
  TcpTalk talk(kGuest, endpoint("9.9.9.9:80"));
  EXPECT_EQ(judge(talk.syn()), HoldVerdict::Once);
  EXPECT_EQ(judge(talk.from_client(bytes_of("GET / HTTP/1.1\r\nHost: evil.com\r\n\r\n"))),
            HoldVerdict::Refuse);
}

TEST_F(HoldJudgeTest, TheSamePortsAgainAreAnotherConnection) {
  list("evil.com\n");
  for (std::uint32_t start : {1000U, 900'000U, 5U}) {
    TcpTalk talk(kGuest, endpoint("9.9.9.9:443"), start);
    EXPECT_EQ(judge(talk.syn()), HoldVerdict::Once);
    EXPECT_EQ(judge(talk.from_client(guest::client_hello({.server_name = "evil.com"}))),
              HoldVerdict::Refuse);
  }
}

TEST_F(HoldJudgeTest, AQuestionIsDroppedAndItsServerGoesOnBeingAsked) {
  list("evil.com\n");
  EXPECT_EQ(judge(question("\4good\3com")), HoldVerdict::Once);
  EXPECT_EQ(judge(question("\4evil\3com")), kDropped);
  EXPECT_EQ(judge(question("\4good\3com")), HoldVerdict::Once);
  const FlowTuple flow{17, kGuest, endpoint("9.9.9.9:53")};
  EXPECT_TRUE(sink_.held().was_refused(flow, "evil.com"));
  EXPECT_FALSE(sink_.held().was_refused(flow, "good.com"));
  EXPECT_EQ(judge_.counts().dropped, 1U);
  adds_up();
}

TEST_F(HoldJudgeTest, NobodyWaitsForANameForever) {
  list("evil.com\n");
  TcpTalk talk(kGuest, endpoint("9.9.9.9:4000"));
  EXPECT_EQ(judge(talk.syn()), HoldVerdict::Once);
  for (unsigned i = 1; i < HoldJudge::kMostPackets; ++i) {
    EXPECT_EQ(judge(talk.from_client(bytes_of("\1\2\3"))), HoldVerdict::Once);
  }
  EXPECT_EQ(judge(talk.from_client(bytes_of("\1\2\3"))), HoldVerdict::Allow);
  EXPECT_EQ(judge_.counts().nameless, 1U);
}

TEST_F(HoldJudgeTest, APolicyIsAskedForWhomNobodyKnows) {
  policy::PolicyParts parts;
  parts.otherwise = PolicyActions(PolicyAction::Block);
  policy::Rule rule;
  rule.name = "resolver";
  rule.remotes = {*IpNetwork::parse("9.9.9.9/32")};
  parts.rules = {rule};
  ASSERT_TRUE(policy_.use({"vm", policy::encode(policy::FlowPolicy::make(parts).value())}));
  EXPECT_EQ(judge(syn("9.9.9.9:53")), HoldVerdict::Allow);
  EXPECT_EQ(judge(syn("9.9.9.8:53")), HoldVerdict::Refuse);
  EXPECT_EQ(judge(syn("45.9.21.8:53")), HoldVerdict::Allow) << "protected";
}

TEST_F(HoldJudgeTest, AMatchSaysThatItsPacketNeverLeft) {
  EXPECT_EQ(judge(syn("45.9.20.7:443")), HoldVerdict::Refuse);
  feed(syn("45.9.20.7:443"));
  ASSERT_EQ(outlet_.matches.size(), 1U);
  EXPECT_TRUE(outlet_.matches.front().prevented);
  judge_.use(nullptr);
  EXPECT_EQ(judge(syn("45.9.20.7:443")), HoldVerdict::Allow);
  end();
  feed(syn("45.9.20.7:443"));
  ASSERT_EQ(outlet_.matches.size(), 2U);
  EXPECT_FALSE(outlet_.matches.back().prevented);
}

TEST(HoldNotes, AreBoundedAndForgetTheOldest) {
  HoldNotes notes;
  const auto flow = [](std::uint16_t port) {
    return FlowTuple{6, {kGuest.address, port}, kListed};
  };
  for (std::uint16_t port = 1; port <= HoldNotes::kMost + 1; ++port) {
    notes.refuse_flow(flow(port));
  }
  EXPECT_FALSE(notes.was_refused(flow(1), ""));
  EXPECT_TRUE(notes.was_refused(flow(2), ""));
}

} // namespace
} // namespace outguard::sensor
