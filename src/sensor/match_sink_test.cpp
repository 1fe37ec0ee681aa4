// The end of the packet path: frames in, reports out. No guest, so no owner.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/packets/decoded_packet.h"
#include "guest/protocols/recording_test_sink.h"
#include "guest/protocols/tls.h"
#include "guest/testing/message_builder.h"
#include "guest/testing/packet_builder.h"
#include "intel/intel_compiler.h"
#include "sensor/match_sink.h"

namespace outguard::sensor {
namespace {

using guest::Bytes;
using guest::PacketBuilder;
using guest::TcpTalk;
using testing::ElementsAre;

constexpr std::int64_t kStart = 1'755'799'217'000'000'000;
constexpr std::int64_t kSecond = 1'000'000'000;
const Endpoint kGuest = guest::endpoint("10.0.0.2:40000");
const Endpoint kListed = guest::endpoint("45.9.20.7:443");

std::vector<std::uint8_t> image_of(std::string_view list) {
  intel::IntelCompiler compiler;
  for (const char *source : {"a.txt", "b.txt"}) {
    static_cast<void>(compiler.add_feed(
        source, {reinterpret_cast<const std::uint8_t *>(list.data()), list.size()}));
  }
  return compiler.compile().image;
}

struct RecordingOutlet final : Outlet {
  void publish(Report report) override {
    if (auto *match = std::get_if<MatchSeen>(&report)) {
      matches.push_back(std::move(*match));
    } else if (auto *end = std::get_if<MatchedFlowEnded>(&report)) {
      ended.push_back(std::move(*end));
    }
  }
  std::vector<MatchSeen> matches;
  std::vector<MatchedFlowEnded> ended;
};

class MatchSinkTest : public testing::Test {
protected:
  MatchSinkTest() {
    use("45.9.20.7\nevil.com\n");
    sink_.attach(pipeline_);
  }

  intel::IntelSet::Image open(std::string_view list) {
    images_.push_back(std::make_unique<std::vector<std::uint8_t>>(image_of(list)));
    return std::make_shared<intel::IntelImage>(intel::IntelImage::open(*images_.back()).value());
  }
  void use(std::string_view list) { sink_.use(std::make_shared<intel::IntelSet>(open(list))); }

  void feed(const Bytes &frame, std::int64_t later = 20'000'000) {
    now_ns_ += later;
    guest::PacketView view;
    view.bytes = frame;
    view.original_length = static_cast<std::uint32_t>(frame.size());
    view.timestamp_ns = now_ns_;
    pipeline_.process({&view, 1});
  }

  /// A DNS question of the guest's.
  void ask(std::uint16_t port, const char *name = "\4evil\3com") {
    Bytes question{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    for (const char *c = name; *c != '\0'; ++c) {
      question.push_back(static_cast<std::uint8_t>(*c));
    }
    question.insert(question.end(), {0, 0, 1, 0, 1});
    auto local = kGuest;
    local.port = port;
    feed(PacketBuilder(local, guest::endpoint("10.0.0.1:53")).udp().payload(question).build());
  }

  /// From the listed end to a port that nobody listens on.
  void knock(std::uint16_t port, const Endpoint &from = kListed) {
    auto local = kGuest;
    local.port = port;
    feed(PacketBuilder(from, local).tcp(guest::tcp_flag::kSyn, 1000).build());
    feed(PacketBuilder(local, from)
             .tcp(guest::tcp_flag::kRst | guest::tcp_flag::kAck, 0, 1001)
             .build());
  }

  void end() {
    pipeline_.finish();
    sink_.finish();
  }

  GuestView view_;
  RecordingOutlet outlet_;
  MatchSink sink_{view_, outlet_};
  guest::PacketPipeline pipeline_{{.interface = "tap0", .local_addresses = {kGuest.address}},
                                  sink_};
  std::vector<std::unique_ptr<std::vector<std::uint8_t>>> images_;
  std::int64_t now_ns_ = kStart;
};

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

// Fingerprints are made only while one of their type is listed, in the base or the delta.
TEST_F(MatchSinkTest, AFingerprintMatchesFromWhenItIsListed) {
  const auto hello = guest::client_hello({.server_name = "good.com"});
  guest::RecordingSink seen(guest::ObservableKinds{ObservableKind::TlsJa4});
  guest::TlsScratch scratch;
  guest::TlsState state;
  ASSERT_EQ(guest::look_at_tls(state, hello, 443, scratch, seen).look, guest::TlsLook::Done);
  const auto ja4 = seen.seen.back().substr(seen.seen.back().rfind(' ') + 1) + "\n";
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
  EXPECT_EQ(observed_of_hello(5001), 2U) << "JA4 too, and not JA3";
  EXPECT_EQ(outlet_.matches.size(), 1U);
  sink_.use(std::make_shared<intel::IntelSet>(open("other.com\n"), open(ja4)));
  EXPECT_EQ(observed_of_hello(5002), 2U);
  ASSERT_EQ(outlet_.matches.size(), 2U);
  EXPECT_EQ(outlet_.matches[1].indicator.type, IndicatorType::Ja4);
  use("other.com\n");
  EXPECT_EQ(observed_of_hello(5003), 1U);
  EXPECT_EQ(outlet_.matches.size(), 2U);
}

TEST_F(MatchSinkTest, AListedExecutableIsAMatchOfItsFlow) {
  FileHash hash;
  hash.status = FileHash::Status::Complete;
  hash.sha256.fill(0xab);
  std::string digest;
  for (int i = 0; i < 32; ++i) {
    digest += "ab";
  }
  use(digest + "\n");
  MatchSeen of;
  of.flow.flow_id = 7;
  of.flow.last_packet_ns = kStart;
  of.attribution.processes.resize(1);
  of.attribution.processes[0].comm = GuestText("loader");
  auto other = hash;
  other.sha256[31] = 0;
  sink_.on_executable_hashed(of, other);
  other = hash;
  other.status = FileHash::Status::Partial;
  sink_.on_executable_hashed(of, other);
  EXPECT_TRUE(outlet_.matches.empty());
  sink_.on_executable_hashed(of, hash);
  sink_.on_executable_hashed(of, hash);
  ASSERT_EQ(outlet_.matches.size(), 1U);
  const auto &match = outlet_.matches[0];
  EXPECT_EQ(match.indicator.type, IndicatorType::FileSha256);
  EXPECT_EQ(match.indicator.observed, ObservableKind::ExecutableHash);
  EXPECT_EQ(match.indicator.observed_value.raw(), digest);
  EXPECT_EQ(match.flow.flow_id, 7U);
  EXPECT_EQ(match.attribution.processes[0].comm.raw(), "loader");
  of.flow.flow_id = 8;
  sink_.on_executable_hashed(of, hash);
  EXPECT_EQ(outlet_.matches.size(), 2U);
}

TEST_F(MatchSinkTest, AFileIsListedByAnyOfItsDigestsAndToldOnce) {
  FileHash hash;
  hash.status = FileHash::Status::Complete;
  hash.sha1.emplace().fill(0x11);
  hash.md5.emplace().fill(0x55);
  const std::string sha1(40, '1'), md5(32, '5');
  MatchSeen of;
  of.flow.last_packet_ns = kStart;
  of.attribution.processes.resize(1);
  EXPECT_EQ(sink_.on_executable_hashed(of, hash), FileVerdict::Unknown) << "no file is listed";
  EXPECT_EQ(sink_.counts().files_looked_at, 0U);
  use(md5 + "\n");
  EXPECT_EQ(sink_.on_executable_hashed(of, hash), FileVerdict::Listed);
  use(sha1 + "\n" + md5 + "\n");
  of.flow.flow_id = 2;
  EXPECT_EQ(sink_.on_executable_hashed(of, hash), FileVerdict::Listed);
  ASSERT_EQ(outlet_.matches.size(), 2U);
  EXPECT_EQ(outlet_.matches[0].indicator.type, IndicatorType::FileMd5);
  EXPECT_EQ(outlet_.matches[0].indicator.observed_value.raw(), md5);
  EXPECT_EQ(outlet_.matches[1].indicator.type, IndicatorType::FileSha1);
  hash.sha1.reset();
  hash.md5.reset();
  EXPECT_EQ(sink_.on_executable_hashed(of, hash), FileVerdict::NotListed);
  hash.status = FileHash::Status::TooLarge;
  EXPECT_EQ(sink_.on_executable_hashed(of, hash), FileVerdict::Unknown);
  EXPECT_EQ(sink_.counts().files_unknown, 1U);
  EXPECT_EQ(outlet_.matches.size(), 2U);
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
  EXPECT_EQ(beacons()[0].beacon->score, 100);
  EXPECT_EQ(beacons()[0].beacon->median_interval_ms, 61'000U);
  EXPECT_EQ(beacons()[0].flow.tuple.remote, guest::endpoint("93.184.216.34:8443"));
  EXPECT_TRUE(beacons()[0].indicator.value.empty());
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
