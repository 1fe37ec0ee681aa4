// The end of the packet path: frames in, reports out. No guest, so no owner.
#include <fmt/format.h>

#include "guest/protocols/recording_test_sink.h"
#include "guest/protocols/tls.h"
#include "guest/testing/message_builder.h"
#include "sensor/match_sink_test_fixture.h"

namespace outguard::sensor {
namespace {

using testing::ElementsAre;

TEST_F(MatchSinkTest, RepeatsAreCountedAndToldAtTheEnd) {
  for (int i = 0; i < 5; ++i) {
    ask(5000);
  }
  ASSERT_EQ(outlet_.matches.size(), 1U);
  const auto &match = outlet_.matches[0];
  EXPECT_EQ(match.indicator.value.raw(), "evil.com");
  EXPECT_EQ(match.source_count, 2U);
  EXPECT_THAT(match.sources, ElementsAre(GuestText("a.txt:2"), GuestText("b.txt:2")));
  EXPECT_TRUE(outlet_.ended.empty());
  end();
  EXPECT_EQ(outlet_.matches.size(), 1U) << "never a second alert";
  ASSERT_EQ(outlet_.ended.size(), 1U);
  const auto &ended = outlet_.ended[0];
  EXPECT_EQ(ended.flow.flow_id, match.flow.flow_id);
  EXPECT_EQ(ended.flow.packets_to_remote, 5U);
  EXPECT_EQ(ended.reason, EndReason::Shutdown);
  ASSERT_EQ(ended.matches.size(), 1U);
  EXPECT_EQ(ended.matches[0].value.raw(), "evil.com");
  EXPECT_EQ(ended.matches[0].count, 5U);
  EXPECT_LT(ended.matches[0].first_ns, ended.matches[0].last_ns);
  EXPECT_EQ(sink_.counts().repeats, 4U);
}

TEST_F(MatchSinkTest, AnotherImageMakesNoNewAlertOfTheSame) {
  ask(5000);
  use("first.com\nsecond.com\n45.9.20.7\nevil.com\nother.com\n");
  ask(5000);
  ask(5000);
  EXPECT_EQ(outlet_.matches.size(), 1U);
  ask(5000, "\5other\3com");
  EXPECT_EQ(outlet_.matches.size(), 2U);
  end();
  ASSERT_EQ(outlet_.ended.size(), 1U);
  ASSERT_EQ(outlet_.ended[0].matches.size(), 2U);
  EXPECT_EQ(outlet_.ended[0].matches[0].count, 3U);
  EXPECT_EQ(outlet_.ended[0].matches[1].count, 1U);
}

TEST_F(MatchSinkTest, WhatWasNotReportedEndsInSilence) {
  ask(5000, "\4good\3com");
  end();
  EXPECT_TRUE(outlet_.matches.empty());
  EXPECT_TRUE(outlet_.ended.empty());
}

TEST_F(MatchSinkTest, AScanIsOneFindingWithCounts) {
  constexpr std::uint16_t kPorts = 3000;
  for (std::uint16_t port = 1; port <= kPorts; ++port) {
    knock(port);
  }
  EXPECT_TRUE(outlet_.matches.size() <= 1);
  end();
  ASSERT_EQ(outlet_.matches.size(), 1U);
  const auto &match = outlet_.matches[0];
  EXPECT_EQ(match.flow.initiator, FlowDirection::ToGuest);
  ASSERT_TRUE(match.knocks);
  EXPECT_EQ(match.knocks->flows, 1U);
  ASSERT_EQ(outlet_.ended.size(), 1U);
  const auto &ended = outlet_.ended[0];
  EXPECT_EQ(ended.flow.flow_id, match.flow.flow_id);
  EXPECT_EQ(ended.knocks->flows, kPorts);
  EXPECT_EQ(ended.knocks->ports.size(), Knocks::kMostPorts);
  EXPECT_TRUE(ended.knocks->ports_cut);
  EXPECT_EQ(ended.matches[0].count, kPorts);
  EXPECT_EQ(sink_.counts().knocks, kPorts);
  EXPECT_EQ(sink_.counts().knocks_early, 0U) << "a reset ends the wait";
}

TEST_F(MatchSinkTest, AFirewalledScanWaitsInBoundedSpace) {
  constexpr std::uint16_t kPorts = MatchSink::kMostWaiting + 100;
  auto local = kGuest;
  for (local.port = 1; local.port <= kPorts; ++local.port) {
    feed(PacketBuilder(kListed, local).tcp(guest::tcp_flag::kSyn, 1000).build());
  }
  EXPECT_EQ(sink_.counts().knocks_early, 100U);
  end();
  EXPECT_EQ(outlet_.matches.size(), 1U);
  ASSERT_EQ(outlet_.ended.size(), 1U);
  EXPECT_EQ(outlet_.ended[0].knocks->flows, kPorts);
}

TEST_F(MatchSinkTest, WhoWasLetInMeanwhileIsNoKnockWhereOthersCrowdIt) {
  auto scanner = kListed;
  scanner.port = 444;
  TcpTalk talk(kListed, guest::endpoint("10.0.0.2:22"));
  feed(talk.syn());
  auto local = kGuest;
  for (local.port = 1; local.port < MatchSink::kMostWaiting; ++local.port) {
    feed(PacketBuilder(scanner, local).tcp(guest::tcp_flag::kSyn, 1000).build());
  }
  feed(talk.syn_ack(), 0);
  feed(talk.from_client(guest::bytes_of("hello")), 0);
  feed(PacketBuilder(scanner, local).tcp(guest::tcp_flag::kSyn, 1000).build(), 0);
  ASSERT_EQ(outlet_.matches.size(), 1U);
  EXPECT_FALSE(outlet_.matches[0].knocks);
  EXPECT_EQ(sink_.counts().knocks_early, 0U);
}

TEST_F(MatchSinkTest, AFlowThatWasThereIsLookedAtAgainAndToldOnce) {
  const auto look_again = [&] {
    std::optional<std::uint32_t> from = 0;
    while (from) {
      from = pipeline_.walk_flows(
          *from, 100, [&](const guest::Flow &flow) { sink_.look_again(pipeline_, flow); });
    }
  };
  use("evil.com\n");
  feed(TcpTalk(kGuest, kListed).syn());
  feed(PacketBuilder(kListed, guest::endpoint("10.0.0.2:7")).udp().payload("x").build());
  look_again();
  EXPECT_TRUE(outlet_.matches.empty());
  use("45.9.20.7\n");
  look_again();
  ASSERT_EQ(outlet_.matches.size(), 1U) << "of both, only one was let in, or went out";
  EXPECT_EQ(outlet_.matches[0].flow.tuple.local, kGuest);
  look_again();
  use("other.com\n45.9.20.7\n");
  look_again();
  end();
  EXPECT_EQ(outlet_.matches.size(), 1U);
  ASSERT_EQ(outlet_.ended.size(), 1U);
  EXPECT_EQ(outlet_.ended[0].matches[0].count, 1U) << "nothing more was observed";
  EXPECT_EQ(sink_.counts().repeats, 0U);
}

TEST_F(MatchSinkTest, WhoIsLetInAfterOthersCrowdedItOutIsToldAtItsEnd) {
  auto scanner = kListed;
  scanner.port = 444;
  TcpTalk talk(kListed, guest::endpoint("10.0.0.2:22"));
  feed(talk.syn());
  auto local = kGuest;
  for (local.port = 1; local.port <= MatchSink::kMostWaiting; ++local.port) {
    feed(PacketBuilder(scanner, local).tcp(guest::tcp_flag::kSyn, 1000).build());
  }
  EXPECT_EQ(sink_.counts().knocks_early, 1U);
  feed(talk.syn_ack());
  feed(talk.from_client(guest::bytes_of("hello")));
  end();
  ASSERT_FALSE(outlet_.matches.empty());
  const auto let_in =
      std::count_if(outlet_.matches.begin(), outlet_.matches.end(), [](const MatchSeen &match) {
        return !match.knocks && match.flow.tuple.local.port == 22;
      });
  EXPECT_EQ(let_in, 1);
}

TEST_F(MatchSinkTest, WithoutIntelligenceNobodyKnocks) {
  TcpTalk talk(kListed, guest::endpoint("10.0.0.2:22"));
  feed(talk.syn());
  feed(PacketBuilder(kListed, guest::endpoint("10.0.0.2:5353")).udp().payload("x").build());
  sink_.use(nullptr); // the last single add was taken back
  feed(talk.syn_ack());
  feed(talk.client_rst());
  sink_.settle(now_ns_ + kSecond);
  end();
  EXPECT_TRUE(outlet_.matches.empty());
}

TEST_F(MatchSinkTest, WhomTheGuestLetsInIsNoKnock) {
  TcpTalk talk(kListed, guest::endpoint("10.0.0.2:22"));
  feed(talk.syn());
  feed(talk.syn_ack());
  sink_.settle(now_ns_ + kSecond);
  EXPECT_TRUE(outlet_.matches.empty()) << "a half-open scan looks the same until here";
  feed(talk.from_client(guest::bytes_of("hello")));
  sink_.settle(now_ns_ + 2 * kSecond);
  ASSERT_EQ(outlet_.matches.size(), 1U);
  EXPECT_FALSE(outlet_.matches[0].knocks);
  EXPECT_EQ(outlet_.matches[0].flow.initiator, FlowDirection::ToGuest);
  end();
  EXPECT_EQ(outlet_.matches.size(), 1U);
  EXPECT_EQ(sink_.counts().knocks, 0U);
}

TEST_F(MatchSinkTest, AHalfOpenScanIsAKnock) {
  TcpTalk talk(kListed, guest::endpoint("10.0.0.2:22"));
  feed(talk.syn());
  feed(talk.syn_ack());
  feed(talk.client_rst());
  end();
  ASSERT_EQ(outlet_.matches.size(), 1U);
  EXPECT_TRUE(outlet_.matches[0].knocks);
  EXPECT_TRUE(outlet_.ended.empty()) << "once: its alert has said it all";
}

TEST_F(MatchSinkTest, TheGuestsOwnConnectionIsToldAtItsFirstPacket) {
  feed(TcpTalk(kGuest, kListed).syn());
  ASSERT_EQ(outlet_.matches.size(), 1U);
  EXPECT_FALSE(outlet_.matches[0].knocks);
}

TEST_F(MatchSinkTest, PingsAndErrorsAreKnocks) {
  auto listed = kListed;
  auto local = kGuest;
  listed.port = local.port = 0;
  feed(PacketBuilder(listed, local).icmp(8, 0).build());
  feed(PacketBuilder(local, listed).icmp(0, 0).build());
  feed(PacketBuilder(local, listed).icmp(3, 3).build()); // the answer to a datagram
  end();
  ASSERT_EQ(outlet_.matches.size(), 1U);
  EXPECT_TRUE(outlet_.matches[0].knocks);
  ASSERT_EQ(outlet_.ended.size(), 1U);
  EXPECT_EQ(outlet_.ended[0].knocks->flows, 2U);
}

TEST_F(MatchSinkTest, PortsOfDnsOverTlsAreBlindness) {
  use("45.9.20.7\n");
  auto listed = kListed;
  listed.port = 853;
  feed(TcpTalk(kGuest, listed).syn());
  ASSERT_EQ(outlet_.matches.size(), 1U);
  EXPECT_EQ(outlet_.matches[0].flow.blind, static_cast<std::uint8_t>(Blindness::DnsOverTls));
}

std::string ja4_of(const Bytes &hello) {
  guest::RecordingSink seen(guest::ObservableKinds{ObservableKind::TlsJa4});
  guest::TlsScratch scratch;
  guest::TlsState state;
  EXPECT_EQ(guest::look_at_tls(state, hello, 443, scratch, seen).look, guest::TlsLook::Done);
  return seen.seen.back().substr(seen.seen.back().rfind(' ') + 1);
}

// Fingerprints are made only while one of their type is listed, in the base or the delta.
TEST_F(MatchSinkTest, AFingerprintMatchesFromWhenItIsListed) {
  const auto hello = guest::client_hello({.server_name = "good.com"});
  const auto ja4 = ja4_of(hello) + "\n";
  const auto observed_of_hello = [&](std::uint16_t port) {
    const auto before = pipeline_.counters().observables;
    auto local = kGuest;
    local.port = port;
    TcpTalk talk(local, guest::endpoint("93.184.216.34:443"));
    feed(talk.syn());
    feed(talk.syn_ack());
    feed(talk.from_client(hello));
    return pipeline_.counters().observables - before;
  };
  EXPECT_EQ(observed_of_hello(5000), 1U) << "its name";
  use("other.com\n" + ja4);
  EXPECT_EQ(outlet_.matches.size(), 0U) << "what is past is past";
  EXPECT_EQ(observed_of_hello(5001), 4U) << "JA4, not JA3; then the name and protocol it came with";
  EXPECT_EQ(outlet_.matches.size(), 1U);
  sink_.use(std::make_shared<intel::IntelSet>(open("other.com\n"), open(ja4)));
  EXPECT_EQ(observed_of_hello(5002), 4U);
  ASSERT_EQ(outlet_.matches.size(), 2U);
  EXPECT_EQ(outlet_.matches[1].indicator.type, IndicatorType::Ja4);
  use("other.com\n");
  EXPECT_EQ(observed_of_hello(5003), 1U);
  EXPECT_EQ(outlet_.matches.size(), 2U);
}

std::vector<std::string> told_of(const MatchedFlowEnded &ended) {
  std::vector<std::string> told;
  for (const auto &seen : ended.observed) {
    told.push_back(fmt::format("{} {}", to_string(seen.kind), seen.value.raw()));
  }
  return told;
}

TEST_F(MatchSinkTest, WhatIsSeenOfAFlowThatWasReportedIsToldAtItsEnd) {
  const auto talk_to = [&](const Endpoint &server, const Bytes &request) {
    TcpTalk talk(kGuest, server);
    feed(talk.syn());
    feed(talk.syn_ack());
    feed(talk.from_client(request));
    feed(talk.from_client(request)); // each once
  };
  const auto get = guest::bytes_of("GET /a HTTP/1.1\r\nHost: good.com\r\nUser-Agent: x/1\r\n\r\n");
  talk_to(kListed, get);
  talk_to(guest::endpoint("93.184.216.34:80"), get);
  end();
  ASSERT_EQ(outlet_.ended.size(), 1U);
  EXPECT_THAT(told_of(outlet_.ended[0]),
              testing::ElementsAre("http-host good.com", "http-url http://good.com/a",
                                   "http-user-agent x/1", "http-method GET"));
  EXPECT_FALSE(outlet_.ended[0].observed_cut);
}

TEST_F(MatchSinkTest, WhatAListedFingerprintOrAnswerBelongsToIsToldToo) {
  const auto hello = guest::client_hello({.server_name = "good.com"});
  use(ja4_of(hello) + "\n");
  TcpTalk talk(kGuest, guest::endpoint("93.184.216.34:443"));
  feed(talk.syn());
  feed(talk.syn_ack());
  feed(talk.from_client(hello));
  end();
  ASSERT_EQ(outlet_.ended.size(), 1U);
  EXPECT_THAT(told_of(outlet_.ended[0]), testing::Contains("tls-sni good.com"));
  EXPECT_THAT(told_of(outlet_.ended[0]), testing::Contains("tls-ja4 " + ja4_of(hello)));

  use("45.9.20.9\n");
  const auto server = guest::endpoint("10.0.0.1:53");
  feed(PacketBuilder(kGuest, server).udp().payload(guest::dns_query("cdn.good.com")).build());
  feed(PacketBuilder(server, kGuest)
           .udp()
           .payload(guest::dns_answer("cdn.good.com", "45.9.20.9"))
           .build());
  end();
  ASSERT_EQ(outlet_.ended.size(), 2U);
  EXPECT_THAT(told_of(outlet_.ended[1]),
              ElementsAre("dns-answer-address 45.9.20.9", "dns-name cdn.good.com"));
}

TEST(ReportedFlowsTest, WhatIsSeenOfOneFlowIsBounded) {
  ReportedFlows flows;
  guest::Flow flow;
  flow.id = 7;
  const ReportedFlows::Key key{nullptr, flow.id};
  IndicatorHit hit;
  hit.value = GuestText("evil.com");
  ASSERT_EQ(flows.add(key, flow, 1, hit, kStart), ReportedFlows::Told::First);
  for (std::size_t i = 0; i < ReportedFlows::kMostObserved; ++i) {
    flows.note_observed(key, ObservableKind::HttpUrl, "http://a/" + std::to_string(i));
    flows.note_observed(key, ObservableKind::HttpUrl, "http://a/0");
  }
  flows.note_observed({nullptr, 8}, ObservableKind::HttpUrl, "http://of.nobody/");
  auto closed = flows.close(key);
  EXPECT_EQ(closed.observed.size(), ReportedFlows::kMostObserved);
  EXPECT_FALSE(closed.cut);

  ASSERT_EQ(flows.add(key, flow, 1, hit, kStart), ReportedFlows::Told::First);
  flows.note_observed(key, ObservableKind::HttpUrl,
                      std::string(ReportedFlows::kMostObservedBytes + 1, 'x'));
  flows.note_observed(key, ObservableKind::HttpMethod, "GET");
  closed = flows.close(key);
  EXPECT_EQ(closed.observed.size(), 1U);
  EXPECT_TRUE(closed.cut);
}

/// Flows of which all but the last have as much as one may have.
class CrowdedFlows {
public:
  ReportedFlows::Told add(std::uint64_t flow, std::size_t indicator) {
    IndicatorHit hit;
    hit.value = GuestText(std::to_string(indicator));
    return flows.add({nullptr, flow}, flow_, static_cast<std::uint32_t>(indicator), hit, kStart);
  }
  ReportedFlows flows;

private:
  guest::Flow flow_;
};

TEST(ReportedFlowsTest, TheFirstIndicatorOfAFlowIsToldHoweverManyOthersHave) {
  CrowdedFlows crowd;
  std::uint64_t flow = 0;
  for (auto told = ReportedFlows::Told::First; told == ReportedFlows::Told::First; ++flow) {
    ASSERT_LE(flow, ReportedFlows::kMostFurther);
    for (std::size_t i = 0; i < ReportedFlows::kMostTold; ++i) {
      told = crowd.add(flow, i);
    }
  }
  EXPECT_EQ(crowd.add(flow, 1), ReportedFlows::Told::First);
  EXPECT_EQ(crowd.add(flow, 2), ReportedFlows::Told::NoRoom);
  EXPECT_EQ(crowd.flows.close({nullptr, 0}).matches.size(), ReportedFlows::kMostTold);
  EXPECT_EQ(crowd.add(flow, 2), ReportedFlows::Told::First);
}

TEST(ReportedFlowsTest, WhatIsSeenOfAllFlowsIsBoundedAndCostsNoIndicatorItsValue) {
  CrowdedFlows crowd;
  std::size_t kept = 0;
  constexpr std::size_t kFlows = 20000;
  for (std::uint64_t flow = 0; flow < kFlows; ++flow) {
    ASSERT_EQ(crowd.add(flow, flow), ReportedFlows::Told::First);
    for (std::size_t i = 0; i < ReportedFlows::kMostObserved; ++i) {
      crowd.flows.note_observed({nullptr, flow}, ObservableKind::DnsName, std::to_string(i));
    }
  }
  for (std::uint64_t flow = 0; flow < kFlows; ++flow) {
    const auto closed = crowd.flows.close({nullptr, flow});
    kept += closed.observed.size();
    EXPECT_EQ(closed.cut, closed.observed.size() < ReportedFlows::kMostObserved);
    EXPECT_EQ(closed.matches.at(0).value.raw(), std::to_string(flow));
  }
  EXPECT_LE(kept * sizeof(ObservedText), ReportedFlows::kMostSeenBytes);
  EXPECT_GE(kept, kFlows);
}

TEST_F(MatchSinkTest, AResolverOverHttpsIsBlindness) {
  TcpTalk talk(kGuest, guest::endpoint("45.9.20.7:80"));
  use("dns.google\n");
  feed(talk.syn());
  feed(talk.syn_ack());
  feed(talk.from_client(guest::bytes_of("GET / HTTP/1.1\r\nHost: dns.google\r\n\r\n")));
  ASSERT_EQ(outlet_.matches.size(), 1U);
  EXPECT_EQ(outlet_.matches[0].flow.blind, static_cast<std::uint8_t>(Blindness::DnsOverHttps));
}

} // namespace
} // namespace outguard::sensor
