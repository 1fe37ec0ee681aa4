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
