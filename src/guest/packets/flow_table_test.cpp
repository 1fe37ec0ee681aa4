#include "guest/packets/flow_table.h"
#include "guest/packets/pipeline_test_fixture.h"

namespace outguard::guest {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::SizeIs;

using FlowTableTest = PipelineTest;

Endpoint client(std::uint32_t number) {
  Endpoint end = endpoint("10.0.0.0:1024");
  end.address.bytes[2] = static_cast<std::uint8_t>(number >> 14);
  end.address.bytes[3] = static_cast<std::uint8_t>(number >> 6);
  end.port = static_cast<std::uint16_t>(1024 + (number & 63));
  return end;
}

Bytes datagram(std::uint32_t number) {
  return PacketBuilder(client(number), endpoint("192.0.2.7:9999")).udp().payload("x").build();
}

TEST_F(FlowTableTest, BothDirectionsAreOneFlow) {
  const auto a = endpoint("10.0.0.1:40000");
  const auto b = endpoint("192.0.2.7:9999");
  feed(PacketBuilder(a, b).udp().payload("ping").build());
  feed(PacketBuilder(b, a).udp().payload("longer pong").build());
  EXPECT_THAT(sink_.started, ElementsAre("10.0.0.1:40000 > 192.0.2.7:9999"));
  pipeline().finish();
  EXPECT_EQ(sink_.last.side(FlowDirection::ToRemote).packets, 1U);
  EXPECT_EQ(sink_.last.side(FlowDirection::ToRemote).bytes, 14U + 20 + 8 + 4);
  EXPECT_EQ(sink_.last.side(FlowDirection::ToGuest).bytes, 14U + 20 + 8 + 11);
}

TEST_F(FlowTableTest, OnATapTheGuestIsLocalWhoeverStarts) {
  TcpTalk inbound(endpoint("192.0.2.9:5555"), endpoint("10.0.0.1:22"));
  feed(inbound.syn(), FlowDirection::ToGuest);
  feed(inbound.syn_ack(), FlowDirection::ToRemote);
  EXPECT_THAT(sink_.started, ElementsAre("10.0.0.1:22 > 192.0.2.9:5555"));
  pipeline().finish();
  EXPECT_EQ(sink_.last.initiator, FlowDirection::ToGuest);
  EXPECT_EQ(sink_.last.guest_mac[5], 2);
  EXPECT_EQ(sink_.last.remote_mac[5], 1);
}

TEST_F(FlowTableTest, InAFileTheInitiatorIsLocal) {
  TcpTalk talk(endpoint("10.0.0.1:40000"), endpoint("192.0.2.7:80"));
  (void)talk.syn();
  feed(talk.syn_ack()); // the first packet seen is the answer
  EXPECT_THAT(sink_.started, ElementsAre("10.0.0.1:40000 > 192.0.2.7:80"));
}

TEST_F(FlowTableTest, InAFileKnownAddressesAreLocal) {
  config_.local_addresses = {IpAddress::parse("10.0.0.1").value()};
  TcpTalk inbound(endpoint("192.0.2.9:5555"), endpoint("10.0.0.1:22"));
  feed(inbound.syn());
  EXPECT_THAT(sink_.started, ElementsAre("10.0.0.1:22 > 192.0.2.9:5555"));
  pipeline().finish();
  EXPECT_EQ(sink_.last.initiator, FlowDirection::ToGuest);
}

TEST_F(FlowTableTest, VlansFamiliesAndProtocolsKeepFlowsApart) {
  const auto a = endpoint("10.0.0.1:1");
  const auto b = endpoint("10.0.0.2:2");
  feed(PacketBuilder(a, b).udp().build());
  feed(PacketBuilder(a, b).udp().vlan(7).build());
  feed(PacketBuilder(a, b).udp().vlan(7).vlan(7).build());
  feed(PacketBuilder(a, b).udp().vlan(0).build());
  feed(PacketBuilder(a, b).tcp(tcp_flag::kSyn, 1).build());
  // The same bytes as an IPv6 address.
  Endpoint a6 = a;
  Endpoint b6 = b;
  a6.address.family = b6.address.family = IpFamily::V6;
  feed(PacketBuilder(a6, b6).udp().build());
  EXPECT_THAT(sink_.started, SizeIs(6));
}

TEST_F(FlowTableTest, EchoAndReplyAreOneFlow) {
  const auto a = endpoint("10.0.0.1:0");
  const auto b = endpoint("10.0.0.2:0");
  feed(PacketBuilder(a, b).icmp(8, 0).build());
  feed(PacketBuilder(b, a).icmp(0, 0).build());
  EXPECT_THAT(sink_.started, ElementsAre("10.0.0.1:8 > 10.0.0.2:0"));
}

TEST_F(FlowTableTest, ManyFlowsStayFindableThroughGrowthAndRemoval) {
  constexpr std::uint32_t kFlows = 5000;
  for (std::uint32_t i = 0; i < kFlows; ++i) {
    feed(datagram(i));
  }
  pipeline().expire(now_ns_ + 120'000 * kMillisecond - 2'500 * kMillisecond); // the older half
  EXPECT_NEAR(static_cast<double>(pipeline().counters().flows.live), kFlows / 2.0, 2.0);
  const auto before = sink_.started.size();
  for (std::uint32_t i = kFlows / 2 + 2; i < kFlows; ++i) {
    feed(datagram(i));
  }
  EXPECT_EQ(sink_.started.size(), before); // none was lost by its neighbours' removal
}

TEST_F(FlowTableTest, FullTableEvictsAndCounts) {
  config_.flows.max_flows = 100;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    feed(datagram(i));
  }
  EXPECT_EQ(pipeline().counters().flows.live, 100U);
  EXPECT_THAT(sink_.ended, SizeIs(900));
  EXPECT_THAT(sink_.ended, Each(FlowEnd::Evicted));
  const auto before = sink_.started.size();
  feed(datagram(999)); // the newest are still there
  EXPECT_EQ(sink_.started.size(), before);
}

TEST_F(FlowTableTest, TimeoutsDependOnTheState) {
  const auto server = endpoint("192.0.2.7:80");
  TcpTalk half(endpoint("10.0.0.1:1"), server);
  TcpTalk open(endpoint("10.0.0.1:2"), server);
  TcpTalk closed(endpoint("10.0.0.1:3"), server);
  for (TcpTalk *talk : {&half, &open, &closed}) {
    feed(talk->syn());
  }
  for (TcpTalk *talk : {&open, &closed}) {
    feed(talk->syn_ack());
    feed(talk->from_client({1}));
  }
  feed(closed.client_fin());
  feed(closed.server_fin());
  const auto after = [&](int seconds) {
    pipeline().expire(now_ns_ + std::int64_t{seconds} * 1000 * kMillisecond);
    return sink_.ended;
  };
  EXPECT_THAT(after(9), SizeIs(0));
  EXPECT_THAT(after(11), ElementsAre(FlowEnd::Closed));
  EXPECT_THAT(after(61), ElementsAre(FlowEnd::Closed, FlowEnd::Idle));
  EXPECT_THAT(after(3601), SizeIs(3));
}

TEST_F(FlowTableTest, APauseThatIsTooLongEndsAFlowThoughNobodyExpiresIt) {
  feed(datagram(1));
  now_ns_ += 119'000 * kMillisecond;
  feed(datagram(1));
  EXPECT_THAT(sink_.started, SizeIs(1));
  now_ns_ += 121'000 * kMillisecond;
  feed(datagram(1));
  EXPECT_THAT(sink_.started, SizeIs(2));
  EXPECT_THAT(sink_.ended, ElementsAre(FlowEnd::Idle));
}

TEST_F(FlowTableTest, ResetClosesAndKeepsThePosition) {
  TcpTalk talk(endpoint("10.0.0.1:1"), endpoint("192.0.2.7:80"), 1000, 5000);
  feed(talk.syn());
  feed(talk.syn_ack());
  feed(talk.client_rst());
  pipeline().expire(now_ns_ + 11'000 * kMillisecond);
  EXPECT_THAT(sink_.ended, ElementsAre(FlowEnd::Closed));
  EXPECT_EQ(pipeline().describe(sink_.last).tcp.guest_next, 1001U);
}

TEST_F(FlowTableTest, PositionCountsSynFinAndPayloadAcrossTheWrap) {
  TcpTalk talk(endpoint("10.0.0.1:1"), endpoint("192.0.2.7:80"), 0xfffffffe, 5000);
  feed(talk.syn());
  feed(talk.syn_ack());
  feed(talk.from_client(Bytes(70, 'x')));
  feed(talk.client_fin());
  feed(talk.client_at(-71, Bytes(10, 'x'))); // a retransmission moves nothing back
  feed(talk.from_server(Bytes(40000, 'y'))); // one GSO frame
  pipeline().finish();
  const FlowSeen seen = pipeline().describe(sink_.last);
  EXPECT_EQ(seen.tcp.guest_next, 0xfffffffeU + 1 + 70 + 1);
  EXPECT_EQ(seen.tcp.remote_next, 5000U + 1 + 40000);
  EXPECT_TRUE(seen.tcp.guest_known && seen.tcp.remote_known);
}

TEST_F(FlowTableTest, ReusedPortsAreANewFlow) {
  const auto a = endpoint("10.0.0.1:1");
  const auto b = endpoint("192.0.2.7:80");
  TcpTalk first(a, b, 1000, 5000);
  feed(first.syn());
  feed(first.syn_ack());
  feed(first.from_client({1}));
  TcpTalk again(a, b, 1000, 5000);
  feed(again.syn()); // the same SYN, late: still the first connection
  EXPECT_THAT(sink_.started, SizeIs(1));
  TcpTalk second(a, b, 900000, 800000);
  feed(second.syn());
  EXPECT_THAT(sink_.started, SizeIs(1));
  feed(second.syn_ack());
  EXPECT_THAT(sink_.started, SizeIs(2));
  EXPECT_THAT(sink_.ended, ElementsAre(FlowEnd::Replaced));
  EXPECT_EQ(sink_.newest->initiator, FlowDirection::ToRemote);
  EXPECT_EQ(sink_.newest->first_sequence, 900000U);
  feed(second.from_client(http_request("second.example", "/")));
  EXPECT_THAT(sink_.observed, testing::Contains("http-url name http://second.example/"));
}

/// SYNs of the guest's root, which no receiver heeds, in a connection that begins at 1001 and whose
/// server acknowledges what it has. Where they say it begins is just before, at, or behind that.
class ForgedSynTest : public PipelineTest {
protected:
  void forge(std::uint8_t flags, std::uint32_t sequence, std::string_view data = {}) {
    feed(PacketBuilder(guest_, remote_).tcp(flags, sequence, 5001).payload(data).build(),
         FlowDirection::ToRemote);
  }
  void real(const Bytes &frame) { feed(frame, FlowDirection::ToRemote); }
  void answer(const Bytes &frame) { feed(frame, FlowDirection::ToGuest); }
  void expect_request_in_pieces() {
    const auto request = http_request("real.example", "/");
    const auto middle = request.begin() + 20;
    real(talk_.from_client(Bytes(request.begin(), middle)));
    answer(talk_.from_server({}));
    real(talk_.from_client(Bytes(middle, request.end())));
    answer(talk_.from_server({}));
    EXPECT_THAT(sink_.observed, testing::Contains("http-url name http://real.example/"));
  }

  Endpoint guest_ = endpoint("10.0.0.1:1"), remote_ = endpoint("192.0.2.7:80");
  TcpTalk talk_{guest_, remote_, 1000, 5000};
};

TEST_F(ForgedSynTest, InAConnectionChangesNothing) {
  real(talk_.syn());
  answer(talk_.syn_ack());
  for (const std::uint32_t sequence : {500U, 1000U, 1001U, 1500U, 70000U}) {
    forge(tcp_flag::kSyn, sequence, "GET / HTTP/1.1\r\nHost: decoy.example\r\n\r\n");
    forge(tcp_flag::kSyn | tcp_flag::kAck, sequence + 1);
  }
  expect_request_in_pieces();
  EXPECT_THAT(sink_.started, SizeIs(1));
  EXPECT_GE(pipeline().counters().flows.stray_syns, 8U);
  pipeline().finish();
  EXPECT_EQ(pipeline().describe(sink_.last).tcp.guest_next,
            1001U + http_request("real.example", "/").size());
}

TEST_F(ForgedSynTest, BehindAForgedResetHidesNothing) {
  for (const std::uint32_t sequence : {500U, 990U, 1001U, 1010U, 1500U, 70000U}) {
    SCOPED_TRACE(sequence);
    real(talk_.syn());
    answer(talk_.syn_ack());
    forge(tcp_flag::kRst, 77);
    forge(tcp_flag::kSyn, sequence);
    expect_request_in_pieces();
    sink_.observed.clear();
    pipeline().finish();
    talk_ = TcpTalk{guest_, remote_, 1000, 5000};
  }
}

TEST_F(ForgedSynTest, AroundTheRealOneHidesNothing) {
  for (const std::uint32_t sequence : {500U, 1010U, 1500U, 70000U}) {
    for (const int order : {0, 1, 2}) {
      SCOPED_TRACE(std::to_string(sequence) + " order " + std::to_string(order));
      if (order != 1) {
        forge(tcp_flag::kSyn, sequence);
        forge(tcp_flag::kAck, sequence + 1, "GET / HTTP/1.1\r\n");
      }
      real(talk_.syn());
      if (order != 0) {
        forge(tcp_flag::kSyn, sequence + 5);
        forge(tcp_flag::kAck, sequence + 6, "GET / HTTP/1.1\r\n");
      }
      answer(talk_.syn_ack());
      expect_request_in_pieces();
      sink_.observed.clear();
      pipeline().finish();
      talk_ = TcpTalk{guest_, remote_, 1000, 5000};
    }
  }
}

/// Its TTL is the ninth byte of the IPv4 header.
TEST_F(ForgedSynTest, SegmentsThatDieOnTheWayAreSaidAndHideNothing) {
  for (const bool over_tls : {false, true}) {
    const auto request = [&](std::string_view host) {
      return over_tls ? client_hello({.server_name = std::string(host)}) : http_request(host, "/");
    };
    real(talk_.syn());
    answer(talk_.syn_ack());
    auto decoy = talk_.client_at(0, request("decoy.example"));
    decoy[14 + 8] = 3;
    real(decoy);
    real(talk_.from_client(request("real.example")));
    EXPECT_THAT(sink_.observed, testing::Contains(over_tls ? "tls-sni name real.example"
                                                           : "http-host name real.example"));
    pipeline().finish();
    EXPECT_EQ(sink_.last.blind, static_cast<std::uint8_t>(Blindness::Unreadable));
    talk_ = TcpTalk{guest_, remote_, 1000, 5000};
  }
  EXPECT_EQ(pipeline().counters().streams.short_lived, 2U);
}

TEST_F(ForgedSynTest, WhatDiesOnTheWayIsSaidAlsoWhereItCameFirst) {
  const auto dying = [](Bytes frame) {
    frame[14 + 8] = 3;
    return frame;
  };
  const std::vector<Bytes> firsts = {
      dying(talk_.syn()), dying(PacketBuilder(guest_, remote_).tcp(tcp_flag::kRst, 77, 0).build()),
      dying(PacketBuilder(guest_, remote_).tcp(tcp_flag::kAck, 1001, 5001).build())};
  for (const bool over_tls : {false, true}) {
    const auto request = [&](std::string_view host) {
      return over_tls ? client_hello({.server_name = std::string(host)}) : http_request(host, "/");
    };
    for (std::size_t i = 0; i < firsts.size(); ++i) {
      SCOPED_TRACE((over_tls ? "TLS " : "HTTP ") + std::to_string(i));
      real(firsts[i]);
      if (i == 0) { // else the sensor has forgotten the connection
        real(talk_.syn());
        answer(talk_.syn_ack());
      }
      real(dying(PacketBuilder(guest_, remote_)
                     .tcp(tcp_flag::kAck, 1001, 5001)
                     .payload(request("decoy.example"))
                     .build()));
      real(PacketBuilder(guest_, remote_)
               .tcp(tcp_flag::kAck, 1001, 5001)
               .payload(request("real.example"))
               .build());
      EXPECT_THAT(sink_.observed, testing::Contains(over_tls ? "tls-sni name real.example"
                                                             : "http-host name real.example"));
      sink_.observed.clear();
      pipeline().finish();
      EXPECT_EQ(sink_.last.blind, static_cast<std::uint8_t>(Blindness::Unreadable));
      talk_ = TcpTalk{guest_, remote_, 1000, 5000};
    }
  }
}

TEST_F(ForgedSynTest, DataInASynThatTheServerRefusesHidesNothing) {
  real(talk_.syn());
  forge(tcp_flag::kSyn, 1000, "HTTP/1.1 200 OK\r\n\r\n");
  answer(talk_.syn_ack());
  expect_request_in_pieces();
}

TEST_F(ForgedSynTest, ALyingServerHidesNothingOfTheGuest) {
  for (const std::uint32_t lie : {500U, 1002U, 1500U, 70000U}) {
    SCOPED_TRACE(lie);
    real(talk_.syn());
    answer(PacketBuilder(remote_, guest_).tcp(tcp_flag::kAck, 4000, lie).build());
    answer(PacketBuilder(remote_, guest_).tcp(tcp_flag::kSyn | tcp_flag::kAck, 4000, lie).build());
    answer(talk_.syn_ack());
    expect_request_in_pieces();
    sink_.observed.clear();
    pipeline().finish();
    talk_ = TcpTalk{guest_, remote_, 1000, 5000};
  }
}

class LiveConnectionTest : public PipelineTest {
protected:
  void SetUp() override {
    feed(talk_.syn(), FlowDirection::ToRemote);
    feed(talk_.syn_ack(), FlowDirection::ToGuest);
    feed(talk_.from_client({1}), FlowDirection::ToRemote);
  }
  void remote_sends(std::uint8_t flags, std::uint32_t sequence, const Bytes &data = {}) {
    feed(PacketBuilder(remote_, guest_).tcp(flags, sequence, 1002).payload(data).build(),
         FlowDirection::ToGuest);
  }
  std::uint32_t remote_next() {
    pipeline().finish();
    return pipeline().describe(sink_.last).tcp.remote_next;
  }

  Endpoint guest_ = endpoint("10.0.0.1:1");
  Endpoint remote_ = endpoint("192.0.2.7:80");
  TcpTalk talk_{guest_, remote_, 1000, 5000};
};

TEST_F(LiveConnectionTest, RemoteCannotHideWhatTheGuestExpects) {
  remote_sends(tcp_flag::kAck, 5001 + (1U << 30), {1, 2, 3});
  remote_sends(tcp_flag::kAck, 5001, Bytes(10, 'x')); // in order: not acknowledged yet
  EXPECT_EQ(remote_next(), 5011U);
}

TEST_F(LiveConnectionTest, TheGuestsAcknowledgementDecides) {
  remote_sends(tcp_flag::kAck, 5001, Bytes(10, 'x')); // a wrong checksum: the guest drops it
  feed(talk_.from_client({2}), FlowDirection::ToRemote);
  EXPECT_EQ(remote_next(), 5001U);
}

TEST_F(LiveConnectionTest, AFrameWithTheRemotesAddressFromTheGuestIsItsOwnFlow) {
  const auto spoofed = PacketBuilder(remote_, guest_).tcp(tcp_flag::kAck, 777, 888).build();
  feed(spoofed, FlowDirection::ToRemote);
  EXPECT_THAT(sink_.started, ElementsAre("10.0.0.1:1 > 192.0.2.7:80", "192.0.2.7:80 > 10.0.0.1:1"));
  feed(talk_.from_server({1}), FlowDirection::ToGuest);
  feed(talk_.from_client({1}), FlowDirection::ToRemote);
  EXPECT_THAT(sink_.started, SizeIs(2));
}

TEST_F(LiveConnectionTest, RemoteSynAloneBeginsNoFlow) {
  remote_sends(tcp_flag::kSyn, 900000);
  EXPECT_THAT(sink_.started, SizeIs(1));
  EXPECT_EQ(remote_next(), 5001U);
}

TEST_F(LiveConnectionTest, TheGuestsAnswerToItDoes) {
  remote_sends(tcp_flag::kSyn, 900000);
  const auto answer =
      PacketBuilder(guest_, remote_).tcp(tcp_flag::kSyn | tcp_flag::kAck, 77, 900001).build();
  feed(answer, FlowDirection::ToRemote);
  feed(answer, FlowDirection::ToRemote); // repeated
  EXPECT_THAT(sink_.started, SizeIs(2));
  EXPECT_THAT(sink_.ended, ElementsAre(FlowEnd::Replaced));
  remote_sends(tcp_flag::kAck, 900001, http_request("in.example", "/"));
  EXPECT_THAT(sink_.observed, testing::Contains("http-url name http://in.example/"));
  EXPECT_EQ(remote_next(), 900001U + http_request("in.example", "/").size());
  EXPECT_EQ(sink_.last.initiator, FlowDirection::ToGuest);
}

TEST_F(FlowTableTest, DataBeforeItsSynDoesNotHideTheConnection) {
  const auto a = endpoint("10.0.0.1:1");
  const auto b = endpoint("192.0.2.7:80");
  feed(PacketBuilder(a, b).tcp(tcp_flag::kAck, 500000).payload("stray").build());
  TcpTalk talk(a, b, 1000, 5000);
  feed(talk.syn());
  feed(talk.from_client(http_request("real.example", "/")));
  EXPECT_THAT(sink_.ended, ElementsAre(FlowEnd::Replaced));
  EXPECT_THAT(sink_.observed, testing::Contains("http-url name http://real.example/"));
}

TEST_F(FlowTableTest, FlowSeenIsComplete) {
  const auto a = endpoint("[2001:db8::1]:40000");
  const auto b = endpoint("[2001:db8::7]:443");
  feed(PacketBuilder(a, b).tcp(tcp_flag::kSyn, 9).vlan(5).build(), FlowDirection::ToRemote);
  pipeline().finish();
  const FlowSeen seen = pipeline().describe(sink_.last);
  EXPECT_EQ(seen.flow_id, 1U);
  EXPECT_EQ(seen.interface, "tap0");
  EXPECT_EQ(seen.tuple.protocol, 6);
  EXPECT_EQ(seen.tuple.local, a);
  EXPECT_EQ(seen.tuple.remote, b);
  EXPECT_EQ(seen.initiator, FlowDirection::ToRemote);
  EXPECT_THAT(seen.vlans, ElementsAre(5));
  EXPECT_EQ(seen.first_packet_ns, kStart);
  EXPECT_EQ(seen.last_packet_ns, kStart);
  EXPECT_EQ(seen.guest_mac, (MacAddress{0x52, 0x54, 0, 0, 0, 1}));
  EXPECT_FALSE(seen.tcp.remote_known);
  EXPECT_EQ(seen.packets_to_remote, 1U);
}

} // namespace
} // namespace outguard::guest
