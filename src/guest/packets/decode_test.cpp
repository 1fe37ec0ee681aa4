#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/packets/decode.h"
#include "guest/packets/icmp_ports.h"
#include "guest/testing/packet_builder.h"

namespace outguard::guest {
namespace {

class DecodeTest : public testing::Test {
protected:
  /// The frame stays alive for the payload view.
  std::optional<DropReason> run(Bytes frame, LinkType link = LinkType::Ethernet,
                                std::uint32_t cut = 0) {
    frame_ = std::move(frame);
    PacketView view;
    view.bytes = std::span(frame_).first(frame_.size() - cut);
    view.original_length = static_cast<std::uint32_t>(frame_.size());
    view.link = link;
    view.outer_tag = tag_;
    return decode(view, out_);
  }
  [[nodiscard]] std::string payload() const { return {out_.payload.begin(), out_.payload.end()}; }

  PacketBuilder v4_ = PacketBuilder(endpoint("10.0.0.1:40000"), endpoint("192.0.2.7:80"));
  PacketBuilder v6_ = PacketBuilder(endpoint("[2001:db8::1]:40000"), endpoint("[2001:db8::2]:53"));
  std::optional<VlanTag> tag_;
  Bytes frame_;
  DecodedPacket out_;
};

TEST_F(DecodeTest, TcpOverIpv4WithOptionsAndPadding) {
  v4_.tcp(tcp_flag::kAck, 0xfffffff0, 77).payload("hello").hop_limit(7).trailer(9);
  v4_.ip_options(Bytes(8, 1)).tcp_options(Bytes(12, 1));
  ASSERT_EQ(run(v4_.build()), std::nullopt);
  EXPECT_EQ(out_.source.to_string(), "10.0.0.1:40000");
  EXPECT_EQ(out_.destination.to_string(), "192.0.2.7:80");
  EXPECT_EQ(out_.protocol, 6);
  EXPECT_EQ(out_.hop_limit, 7);
  EXPECT_EQ(out_.sequence, 0xfffffff0U);
  EXPECT_EQ(out_.acknowledgment, 77U);
  EXPECT_EQ(out_.window, 64240);
  EXPECT_EQ(payload(), "hello"); // the padding is gone
  EXPECT_EQ(out_.payload_length, 5U);
  EXPECT_FALSE(out_.cut);
  EXPECT_EQ(out_.source_mac[5], 1);
  EXPECT_EQ(out_.destination_mac[5], 2);
}

TEST_F(DecodeTest, UnfilledChecksumsAreNoFault) {
  ASSERT_EQ(run(v4_.udp().payload("x").leave_checksums().build()), std::nullopt);
  EXPECT_EQ(payload(), "x");
}

TEST_F(DecodeTest, VlanTagsOuterFirst) {
  v4_.udp().vlan(0x2064, 0x88a8).vlan(200);
  ASSERT_EQ(run(v4_.build()), std::nullopt);
  ASSERT_EQ(out_.vlan_count, 2);
  EXPECT_EQ(out_.vlans[0], 0x064);
  EXPECT_EQ(out_.vlans[1], 200);
  tag_ = VlanTag{0xe005, 0x8100}; // priority and DEI go
  ASSERT_EQ(run(v4_.build()), std::nullopt);
  ASSERT_EQ(out_.vlan_count, 3);
  EXPECT_EQ(out_.vlans[0], 5);
}

TEST_F(DecodeTest, TooManyTags) {
  v4_.udp();
  for (std::uint16_t i = 0; i < kMaxVlanTags; ++i) {
    v4_.vlan(i);
  }
  EXPECT_EQ(run(v4_.build()), std::nullopt);
  tag_ = VlanTag{1, 0x8100};
  EXPECT_EQ(run(v4_.build()), DropReason::TooManyTags);
}

TEST_F(DecodeTest, Ipv6ExtensionHeaders) {
  v6_.udp().payload("q");
  v6_.extension(0, Bytes(6, 0)).extension(43, Bytes(14, 0)).extension(60, Bytes(6, 0));
  v6_.extension(51, Bytes(10, 0)); // authentication counts in words
  ASSERT_EQ(run(v6_.build()), std::nullopt);
  EXPECT_EQ(out_.protocol, 17);
  EXPECT_EQ(out_.destination.to_string(), "[2001:db8::2]:53");
  EXPECT_EQ(payload(), "q");
}

TEST_F(DecodeTest, ExtensionHeadersHaveAnEnd) {
  v6_.udp();
  for (int i = 0; i < kMaxExtensionHeaders; ++i) {
    v6_.extension(60, Bytes(6, 0));
  }
  EXPECT_EQ(run(v6_.build()), std::nullopt);
  v6_.extension(60, Bytes(6, 0));
  EXPECT_EQ(run(v6_.build()), DropReason::TooManyExtensions);
}

TEST_F(DecodeTest, FragmentsKeepTheirPartOfThePayload) {
  v4_.udp().payload("first part");
  ASSERT_EQ(run(v4_.ipv4_fragment(0, true).build()), std::nullopt);
  EXPECT_TRUE(out_.is_fragment && out_.more_fragments);
  EXPECT_EQ(out_.source.port, 0);
  EXPECT_EQ(out_.payload.size(), 18U);
  EXPECT_EQ(out_.fragment_id, 0x1234U);
  ASSERT_EQ(run(v4_.ipv4_fragment(1480, false).trailer(9).build()), std::nullopt);
  EXPECT_TRUE(out_.is_fragment && !out_.more_fragments);
  EXPECT_EQ(out_.fragment_offset, 1480U);
  EXPECT_EQ(out_.payload.size(), 18U);
  EXPECT_EQ(out_.protocol, 17);
  auto v6 = v6_;
  ASSERT_EQ(run(v6.udp().extension(44, {0, 9, 0, 0, 1, 9}).build()), std::nullopt);
  EXPECT_TRUE(out_.is_fragment && out_.more_fragments);
  EXPECT_EQ(out_.fragment_offset, 8U);
  EXPECT_EQ(out_.fragment_id, 0x109U);
  ASSERT_EQ(run(v6_.udp().extension(44, {0, 0, 0, 0, 0, 9}).build()), std::nullopt);
  EXPECT_FALSE(out_.is_fragment); // alone, and whole
  EXPECT_EQ(out_.source.port, 40000);
  ASSERT_EQ(run(v4_.claim_ip_length(2000).build()), std::nullopt);
  EXPECT_TRUE(out_.cut);
  EXPECT_LT(out_.payload.size(), out_.payload_length);
}

TEST_F(DecodeTest, FramesBeyond64KiB) {
  const std::string big(70000, 'x');
  ASSERT_EQ(run(v4_.tcp(tcp_flag::kAck, 1).payload(big).claim_ip_length(0).build()), std::nullopt);
  EXPECT_EQ(out_.payload_length, 70000U);
  ASSERT_EQ(run(v6_.tcp(tcp_flag::kAck, 1).payload(big).claim_ip_length(0).build()), std::nullopt);
  EXPECT_EQ(out_.payload_length, 70000U);
  EXPECT_EQ(out_.payload.size(), 70000U);
}

TEST_F(DecodeTest, CutCaptureIsFlaggedAndLengthsStayTrue) {
  v4_.tcp(tcp_flag::kAck, 1).payload(std::string(1000, 'x'));
  ASSERT_EQ(run(v4_.build(), LinkType::Ethernet, 900), std::nullopt);
  EXPECT_TRUE(out_.cut);
  EXPECT_EQ(out_.payload.size(), 100U);
  EXPECT_EQ(out_.payload_length, 1000U);
}

TEST_F(DecodeTest, OtherLinks) {
  const auto ip = v4_.udp().payload("x").without_link().build();
  const auto behind = [&](Bytes header) {
    header.insert(header.end(), ip.begin(), ip.end());
    return header;
  };
  EXPECT_EQ(run(ip, LinkType::Raw), std::nullopt);
  EXPECT_EQ(run(ip, LinkType::RawV4), std::nullopt);
  EXPECT_EQ(run(ip, LinkType::RawV6), DropReason::IpTooShort);
  EXPECT_EQ(run(v6_.udp().without_link().build(), LinkType::Raw), std::nullopt);
  EXPECT_EQ(run(v6_.build(), LinkType::RawV4), DropReason::BadIpHeader);
  EXPECT_EQ(run(behind({2, 0, 0, 0}), LinkType::Null), std::nullopt);
  EXPECT_EQ(run(behind({0, 0, 0, 2}), LinkType::Loop), std::nullopt);
  Bytes sll(16, 0);
  sll[14] = 8;
  EXPECT_EQ(run(behind(sll), LinkType::LinuxCooked), std::nullopt);
  Bytes sll2(20, 0);
  sll2[0] = 8;
  EXPECT_EQ(run(behind(sll2), LinkType::LinuxCooked2), std::nullopt);
  EXPECT_EQ(run(behind({0xff, 3, 0, 0x21}), LinkType::Ppp), std::nullopt);
  EXPECT_EQ(run(behind({0x21}), LinkType::Ppp), std::nullopt);
  EXPECT_EQ(payload(), "x");
  EXPECT_EQ(run({0xff, 3, 0xc0, 0x21, 1}, LinkType::Ppp), DropReason::NotIp); // LCP
  EXPECT_EQ(run({}, LinkType::Ppp), DropReason::BadTunnelHeader);
  EXPECT_EQ(run(ip, static_cast<LinkType>(147)), DropReason::UnknownLink);
  EXPECT_EQ(run(Bytes{0x50}, LinkType::Raw), DropReason::NotIp);
  EXPECT_EQ(run({}, LinkType::Raw), DropReason::IpTooShort);
}

TEST_F(DecodeTest, IcmpPortsAreThoseOfCommunityId) {
  ASSERT_EQ(run(v4_.icmp(8, 0).build()), std::nullopt);
  EXPECT_EQ(out_.source.port, 8);
  EXPECT_EQ(out_.destination.port, 0);
  ASSERT_EQ(run(v4_.icmp(3, 1).build()), std::nullopt);
  EXPECT_EQ(out_.destination.port, 1);
  ASSERT_EQ(run(v6_.icmp(129, 0).build()), std::nullopt);
  EXPECT_EQ(out_.source.port, 129);
  EXPECT_EQ(out_.destination.port, 128);
  EXPECT_EQ(icmp_ports(1, 14, 0).destination, 13);
  EXPECT_EQ(icmp_ports(58, 1, 4).destination, 4);
}

TEST_F(DecodeTest, SctpHasPorts) {
  Bytes header{0x0b, 0x59, 0x1f, 0x90};
  header.resize(12);
  ASSERT_EQ(run(v4_.protocol(132).payload(header).build()), std::nullopt);
  EXPECT_EQ(out_.source.port, 2905);
  EXPECT_EQ(out_.destination.port, 8080);
  header.resize(11);
  EXPECT_EQ(run(v4_.protocol(132).payload(header).build()), DropReason::TransportTooShort);
}

TEST_F(DecodeTest, ProtocolsWithoutPorts) {
  ASSERT_EQ(run(v4_.protocol(47).payload("gre").build()), std::nullopt);
  EXPECT_EQ(out_.protocol, 47);
  EXPECT_EQ(out_.source.port, 0);
}

TEST_F(DecodeTest, LiesHaveNames) {
  EXPECT_EQ(run(v4_.udp().ether_type(0x0806).build()), DropReason::NotIp);
  auto v4 = PacketBuilder(endpoint("10.0.0.1:1"), endpoint("10.0.0.2:2"));
  const auto with = [&](auto falsify) {
    auto copy = v4;
    copy.tcp(tcp_flag::kAck, 1).payload("xyz");
    falsify(copy);
    return run(copy.build());
  };
  EXPECT_EQ(with([](auto &b) { b.claim_ip_version(5); }), DropReason::BadIpHeader);
  EXPECT_EQ(with([](auto &b) { b.claim_ipv4_header_words(4); }), DropReason::BadIpHeader);
  EXPECT_EQ(with([](auto &b) { b.claim_ip_length(19); }), DropReason::BadIpHeader);
  // No receiver takes a segment that promises more than the frame holds; a stream must not either.
  EXPECT_EQ(with([](auto &b) { b.claim_ip_length(44); }), DropReason::BadIpHeader);
  EXPECT_EQ(with([](auto &b) { b.claim_tcp_header_words(4); }), DropReason::BadTransportHeader);
  EXPECT_EQ(with([](auto &b) { b.claim_tcp_header_words(6); }), DropReason::BadTransportHeader);
  EXPECT_EQ(with([](auto &b) { b.udp().claim_udp_length(7); }), DropReason::BadTransportHeader);
  EXPECT_EQ(with([](auto &b) { b.udp().claim_udp_length(900); }), std::nullopt);
  EXPECT_TRUE(out_.cut);
  EXPECT_EQ(payload(), "xyz");
}

TEST_F(DecodeTest, EveryPrefixHasItsName) {
  const auto frame = v4_.tcp(tcp_flag::kAck, 1).payload("data").vlan(3).build();
  for (std::uint32_t cut = 5; cut <= frame.size(); ++cut) {
    const auto left = frame.size() - cut;
    const auto reason = run(frame, LinkType::Ethernet, cut);
    const auto wanted = left < 18   ? DropReason::LinkTooShort
                        : left < 38 ? DropReason::IpTooShort
                                    : DropReason::TransportTooShort;
    ASSERT_EQ(reason, wanted) << left;
  }
}

} // namespace
} // namespace outguard::guest
