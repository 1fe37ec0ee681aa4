// Packets in tunnels, from frames to the flows that come of them.
#include "guest/packets/decode.h"
#include "guest/packets/pipeline_test_fixture.h"
#include "guest/testing/wrapping_builder.h"

namespace outguard::guest {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class TunnelTest : public PipelineTest {
protected:
  static constexpr const char *kInnerFlow = "10.8.0.2:40000 > 10.8.0.1:53";
  static constexpr const char *kQuestion = "dns-name name in.example";

  FlowSeen last_seen() {
    pipeline().finish();
    return pipeline().describe(sink_.last);
  }
  PacketCounters inside() { return pipeline().counters().inside; }

  PacketBuilder inner_ = PacketBuilder(endpoint("10.8.0.2:40000"), endpoint("10.8.0.1:53"))
                             .udp()
                             .payload(dns_query("in.example"));
  PacketBuilder inner6_ =
      PacketBuilder(endpoint("[2001:0:1::2]:40000"), endpoint("[2001:db8::1]:53"))
          .udp()
          .payload(dns_query("in.example"));
  Bytes frame_ = inner_.build();
  Bytes ip_ = PacketBuilder(inner_).without_link().build();
  Bytes ip6_ = PacketBuilder(inner6_).without_link().build();
  Bytes gre_ = [this] {
    Bytes header{0, 0, 8, 0};
    header.insert(header.end(), ip_.begin(), ip_.end());
    return header;
  }();
  Endpoint here_ = endpoint("192.0.2.1:0");
  Endpoint there_ = endpoint("192.0.2.2:0");
  Endpoint here6_ = endpoint("[2001:db8:1::1]:0");
  Endpoint there6_ = endpoint("[2001:db8:1::2]:0");
};

TEST_F(TunnelTest, BetweenHostsBothFlowsAreSeen) {
  Bytes ppp{0xff, 3, 0, 0x21};
  ppp.insert(ppp.end(), ip_.begin(), ip_.end());
  struct {
    const char *what;
    Bytes frame;
  } const all[] = {
      {"IPv4 in IPv4", in_ip(here_, there_, ip_)},
      {"IPv4 in IPv6", in_ip(here6_, there6_, ip_)},
      {"IPv6 in IPv4", in_ip(here_, there_, ip6_)},
      {"IPv6 in IPv6", in_ip(here6_, there6_, ip6_)},
      {"GRE", in_gre(here_, there_, 0, 0x0800, ip_)},
      {"GRE with IPv6", in_gre(here6_, there6_, 0, 0x86dd, ip6_)},
      {"GRE with a checksum", in_gre(here_, there_, 0x8000, 0x0800, ip_)},
      {"GRE with all fields", in_gre(here_, there_, 0xb000, 0x0800, ip_)},
      {"GRE with a frame", in_gre(here_, there_, 0x2000, 0x6558, frame_)},
      {"PPTP", in_gre(here_, there_, 0x3001, 0x880b, ppp)},
      {"VXLAN", in_vxlan(endpoint("192.0.2.1:999"), endpoint("192.0.2.2:4789"), 5, frame_)},
      {"VXLAN as of old",
       in_vxlan(endpoint("192.0.2.1:999"), endpoint("192.0.2.2:8472"), 5, frame_)},
      {"GENEVE",
       in_geneve(endpoint("192.0.2.1:999"), endpoint("192.0.2.2:6081"), 5, {}, 0x6558, frame_)},
      {"GENEVE with options", in_geneve(endpoint("192.0.2.1:999"), endpoint("192.0.2.2:6081"), 5,
                                        Bytes(40, 1), 0x0800, ip_)},
      {"GRE in UDP", PacketBuilder(endpoint("192.0.2.1:999"), endpoint("192.0.2.2:4754"))
                         .udp()
                         .payload(gre_)
                         .build()},
      {"Teredo", in_teredo(endpoint("192.0.2.1:999"), endpoint("192.0.2.2:3544"), ip6_, false)},
      {"Teredo's answer",
       in_teredo(endpoint("192.0.2.1:3544"), endpoint("192.0.2.2:999"), ip6_, true)},
      {"Teredo between peers",
       in_teredo(endpoint("192.0.2.1:998"), endpoint("192.0.2.2:999"), ip6_, false)},
  };
  for (const auto &[what, frame] : all) {
    SCOPED_TRACE(what);
    sink_ = {};
    feed(frame, FlowDirection::ToRemote);
    EXPECT_THAT(sink_.started, SizeIs(2));
    EXPECT_THAT(sink_.observed, ElementsAre(kQuestion));
    expect_balanced();
    EXPECT_EQ(pipeline().counters().packets.processed, 1U);
    EXPECT_EQ(inside().processed, 1U);
    EXPECT_EQ(inside().seen, 1U);
    pipeline_.reset();
    fed_ = 0;
  }
  sink_ = {};
}

TEST_F(TunnelTest, BelowIpThereIsOneFlow) {
  const Bytes control_word(4, 0);
  Bytes wire = control_word;
  wire.insert(wire.end(), frame_.begin(), frame_.end());
  const Bytes all[] = {in_mpls({16}, ip_),    in_mpls({16, 17, 18}, ip6_),
                       in_mpls({16}, frame_), in_mpls({16}, wire),
                       in_pppoe(9, ip_),      in_pppoe(9, ip6_)};
  for (const Bytes &frame : all) {
    sink_ = {};
    feed(frame, FlowDirection::ToRemote);
    EXPECT_THAT(sink_.started, SizeIs(1));
    EXPECT_THAT(sink_.observed, ElementsAre(kQuestion));
    const FlowSeen seen = last_seen();
    EXPECT_THAT(seen.tunnels, SizeIs(1));
    EXPECT_EQ(seen.carrier, std::nullopt);
    pipeline_.reset();
    fed_ = 0;
  }
  sink_ = {};
}

TEST_F(TunnelTest, TheFlowSaysWhatItCameIn) {
  feed(in_gre(here_, there_, 0, 0x0800, ip_), FlowDirection::ToRemote);
  const auto outer = in_vxlan(endpoint("192.0.2.1:999"), endpoint("192.0.2.9:4789"), 5,
                              in_ip(endpoint("10.1.0.1:0"), endpoint("10.1.0.2:0"), ip_));
  feed(outer, FlowDirection::ToRemote);
  EXPECT_THAT(sink_.started,
              ElementsAre("192.0.2.1:0 > 192.0.2.2:0", kInnerFlow, "192.0.2.1:999 > 192.0.2.9:4789",
                          "10.1.0.1:0 > 10.1.0.2:0", kInnerFlow));
  const FlowSeen last = pipeline().describe(*sink_.newest);
  EXPECT_THAT(last.tunnels, ElementsAre(TunnelKind::Vxlan, TunnelKind::IpInIp));
  ASSERT_TRUE(last.carrier);
  EXPECT_EQ(last.carrier->remote.to_string(), "192.0.2.9:4789");
  EXPECT_EQ(pipeline().carrier_of(*sink_.newest)->tuple.remote.to_string(), "10.1.0.2:0");
  EXPECT_EQ(last.bytes_to_remote, ip_.size());
  EXPECT_EQ(last.guest_mac, (MacAddress{0x52, 0x54, 0, 0, 0, 1}));
}

TEST_F(TunnelTest, TheCarrierIsForgottenWithItsFlow) {
  feed(in_gre(here_, there_, 0, 0x0800, ip_), FlowDirection::ToRemote);
  const Flow *inner = sink_.newest;
  EXPECT_NE(pipeline().carrier_of(*inner), nullptr);
  pipeline().expire(now_ns_ + 60'000 * kMillisecond); // longer than GRE's flow, not than UDP's
  ASSERT_THAT(sink_.ended, SizeIs(1));
  EXPECT_EQ(pipeline().carrier_of(*inner), nullptr);
  EXPECT_EQ(pipeline().describe(*inner).carrier, std::nullopt);
  EXPECT_THAT(pipeline().describe(*inner).tunnels, ElementsAre(TunnelKind::Gre));
  feed(PacketBuilder(endpoint("10.3.0.1:1"), there_).udp().build()); // takes the place
  EXPECT_EQ(pipeline().carrier_of(*inner), nullptr);
}

TEST_F(TunnelTest, BothDirectionsAreOneFlowThoughPortsOfTheCarriersDiffer) {
  const auto answer = PacketBuilder(endpoint("10.8.0.1:53"), endpoint("10.8.0.2:40000"))
                          .udp()
                          .payload(dns_answer("in.example", "192.0.2.1"))
                          .build();
  feed(in_vxlan(endpoint("192.0.2.1:999"), endpoint("192.0.2.2:4789"), 5, frame_));
  feed(in_vxlan(endpoint("192.0.2.2:777"), endpoint("192.0.2.1:4789"), 5, answer));
  EXPECT_THAT(sink_.started, SizeIs(3)); // two carriers
  feed(in_vxlan(endpoint("192.0.2.2:777"), endpoint("192.0.2.1:4789"), 6, answer));
  EXPECT_THAT(sink_.started, SizeIs(4)); // another network with the same addresses
  feed(in_vxlan(endpoint("192.0.2.3:777"), endpoint("192.0.2.1:4789"), 5, answer));
  EXPECT_THAT(sink_.started, SizeIs(6)); // of another host
}

TEST_F(TunnelTest, TagsInsideTellNetworksApart) {
  for (const std::uint16_t tag : std::initializer_list<std::uint16_t>{1, 2, 1}) {
    feed(in_vxlan(endpoint("192.0.2.1:999"), endpoint("192.0.2.2:4789"), 5,
                  PacketBuilder(inner_).vlan(tag).build()));
  }
  EXPECT_THAT(sink_.started, SizeIs(3));
  EXPECT_THAT(pipeline().describe(*sink_.newest).vlans, IsEmpty()); // those are of the tap's link
}

TEST_F(TunnelTest, DepthIsCapped) {
  Bytes ip = ip_;
  for (std::size_t depth = 1; depth <= kMaxTunnels + 3; ++depth) {
    const auto from = endpoint("10.9.0." + std::to_string(depth) + ":0");
    ip = PacketBuilder(from, there_).protocol(4).payload(ip).without_link().build();
  }
  feed(ethernet(0x0800, ip));
  EXPECT_THAT(sink_.started, SizeIs(1 + kMaxTunnels));
  EXPECT_EQ(inside().processed, kMaxTunnels);
  EXPECT_EQ(inside().dropped_for(DropReason::TooManyTunnels), 1U);
  Bytes labels = in_mpls({1, 2, 3, 4, 5, 6, 7, 8, 9}, ip_);
  feed(labels);
  EXPECT_EQ(pipeline().counters().packets.dropped_for(DropReason::BadTunnelHeader), 1U);
}

TEST_F(TunnelTest, MplsInMplsFramesHasAnEnd) {
  for (std::size_t depth = 0; depth < kMaxTunnels + 1; ++depth) {
    Bytes tagged(frame_.begin(), frame_.begin() + 12);
    tagged.insert(tagged.end(), {0x81, 0, 0, 1, 0x88, 0x47});
    for (std::size_t i = 0; i <= depth; ++i) { // a frame in labels, again and again
      tagged.insert(tagged.end(), {0, 1, 1, 64});
      tagged.insert(tagged.end(), {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0x81, 0, 0, 1, 0x88, 0x47});
    }
    feed(tagged);
  }
  const auto dropped = pipeline().counters().packets;
  EXPECT_GT(dropped.dropped_for(DropReason::TooManyTunnels) +
                dropped.dropped_for(DropReason::TooManyTags),
            0U);
}

TEST_F(TunnelTest, WhatIsNoTunnelStaysADatagram) {
  const auto query = dns_query("plain.example");
  for (const char *to : {"192.0.2.53:4789", "192.0.2.53:6081", "192.0.2.53:3544"}) {
    feed(PacketBuilder(endpoint("10.0.0.1:53"), endpoint(to)).udp().payload(query).build());
  }
  EXPECT_THAT(sink_.observed, SizeIs(3));
  EXPECT_EQ(inside().processed, 0U);
  EXPECT_EQ(inside().seen, 3U);
}

TEST_F(TunnelTest, LyingHeadersHaveNames) {
  const auto gre = [&](std::uint16_t flags, std::uint16_t type, const Bytes &content) {
    const auto before = inside();
    feed(in_gre(here_, there_, flags, type, content));
    for (std::size_t i = 0; i < kDropReasons; ++i) {
      if (inside().dropped[i] != before.dropped[i]) {
        return std::string(to_string(static_cast<DropReason>(i)));
      }
    }
    return std::string("processed");
  };
  EXPECT_EQ(gre(0, 0x0800, ip_), "processed");
  EXPECT_EQ(gre(0x4000, 0x0800, ip_), "bad_tunnel_header"); // source routing
  EXPECT_EQ(gre(2, 0x0800, ip_), "bad_tunnel_header");      // version
  EXPECT_EQ(gre(0x2001, 0x0800, ip_), "bad_tunnel_header"); // PPTP carries PPP only
  EXPECT_EQ(gre(0xb000, 0x0800, {}), "ip_too_short");
  EXPECT_EQ(gre(0, 0x0806, ip_), "not_ip");
  EXPECT_EQ(gre(0, 0x86dd, ip_), "bad_ip_header");
  EXPECT_EQ(gre(0, 0x6558, {1, 2, 3}), "link_too_short");
  auto lying = ip_;
  lying[2] = 0xff;                               // says that it is longer than what carries it
  EXPECT_EQ(gre(0, 0x0800, lying), "processed"); // a datagram: what there is
  auto tcp = PacketBuilder(endpoint("10.8.0.2:4"), endpoint("10.8.0.1:5")).tcp(16, 1).payload("x");
  EXPECT_EQ(gre(0, 0x0800, tcp.without_link().claim_ip_length(2000).build()), "bad_ip_header");
  auto options =
      in_geneve(endpoint("192.0.2.1:999"), endpoint("192.0.2.2:6081"), 5, {}, 0x0800, {});
  options[42] = 63;
  feed(options);
  EXPECT_EQ(inside().dropped_for(DropReason::BadTunnelHeader), 4U);
  auto session = in_pppoe(9, ip_);
  session[18] = 0xff;
  feed(session);
  EXPECT_EQ(pipeline().counters().packets.dropped_for(DropReason::BadTunnelHeader), 1U);
  feed(in_pppoe(9, {}));
}

TEST_F(TunnelTest, CutCapturesStayTrue) {
  const auto tcp = PacketBuilder(endpoint("10.8.0.2:4"), endpoint("10.8.0.1:5"))
                       .tcp(16, 1)
                       .payload(Bytes(500, 'x'))
                       .without_link()
                       .build();
  feed(in_gre(here_, there_, 0, 0x0800, tcp), FlowDirection::ToRemote, 400);
  EXPECT_EQ(pipeline().describe(*sink_.newest).bytes_to_remote, tcp.size());
  EXPECT_EQ(pipeline().describe(*sink_.newest).tcp.guest_next, 501U);
}

TEST_F(TunnelTest, AuthenticationHeaderOfIpv4IsPassed) {
  Bytes behind{17, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9};
  const Bytes udp(ip_.begin() + 20, ip_.end());
  behind.insert(behind.end(), udp.begin(), udp.end());
  feed(PacketBuilder(here_, there_).protocol(51).payload(behind).build());
  EXPECT_THAT(sink_.started, ElementsAre("192.0.2.1:40000 > 192.0.2.2:53"));
  EXPECT_THAT(sink_.observed, ElementsAre(kQuestion));
}

} // namespace
} // namespace outguard::guest
