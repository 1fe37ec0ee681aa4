// Both ways of decoding make the same of the same packet, whatever it is.
#include <cstring>
#include <functional>
#include <random>

#include <gtest/gtest.h>

#include "guest/packets/decode.h"
#include "guest/packets/decode_test_agreement.h"
#include "guest/packets/plain_packet.h"
#include "guest/testing/message_builder.h"
#include "guest/testing/wrapping_builder.h"

namespace outguard::guest {
namespace {

PacketView view_of(const Bytes &frame) {
  PacketView view;
  view.bytes = frame;
  view.original_length = static_cast<std::uint32_t>(frame.size());
  view.timestamp_ns = 1'700'000'000'123'456'789;
  return view;
}

bool is_plain(const PacketView &view) {
  DecodedPacket out;
  return decode_plain(view, out);
}

class PlainPacketTest : public testing::Test {
protected:
  PacketBuilder v4_ = PacketBuilder(endpoint("10.0.0.1:40000"), endpoint("192.0.2.7:80"));
  PacketBuilder v6_ = PacketBuilder(endpoint("[2001:db8::1]:40000"), endpoint("[2001:db8::2]:53"));
};

TEST_F(PlainPacketTest, TheOrdinaryOnesAre) {
  for (PacketBuilder builder : {v4_, v6_}) {
    for (const int tags : {0, 1}) {
      if (tags == 1) {
        builder.vlan(0x2064);
      }
      builder.payload("payload");
      EXPECT_TRUE(is_plain(view_of(builder.udp().build())));
      EXPECT_TRUE(is_plain(view_of(builder.trailer(9).build())));
      builder.trailer(0).tcp(tcp_flag::kAck, 1, 2);
      EXPECT_TRUE(is_plain(view_of(builder.build())));
      EXPECT_TRUE(is_plain(view_of(builder.tcp_options(Bytes(12, 1)).build())));
      builder.tcp_options({});
    }
  }
  const auto frame = v4_.tcp(tcp_flag::kSyn, 1).build();
  auto view = view_of(frame);
  view.outer_tag = VlanTag{7, 0x8100};
  EXPECT_TRUE(is_plain(view));
}

TEST_F(PlainPacketTest, TheOthersAreNot) {
  v4_.tcp(tcp_flag::kAck, 1, 2).payload("payload of some bytes");
  v6_.udp().payload("payload of some bytes");
  const auto changed = [](PacketBuilder builder, const std::function<void(PacketBuilder &)> &how) {
    how(builder);
    return is_plain(view_of(builder.build()));
  };
  EXPECT_FALSE(changed(v4_, [](auto &of) { of.vlan(1).vlan(2); }));
  EXPECT_FALSE(changed(v4_, [](auto &of) { of.ether_type(0x0806); }));
  EXPECT_FALSE(changed(v4_, [](auto &of) { of.ip_options(Bytes(4, 1)); }));
  EXPECT_FALSE(changed(v4_, [](auto &of) { of.ipv4_fragment(0, true); }));
  EXPECT_FALSE(changed(v4_, [](auto &of) { of.ipv4_fragment(8, false); }));
  EXPECT_FALSE(changed(v4_, [](auto &of) { of.claim_ip_length(0); }));
  EXPECT_FALSE(changed(v4_, [](auto &of) { of.claim_ip_length(2000); }));
  EXPECT_FALSE(changed(v4_, [](auto &of) { of.claim_ip_version(6); }));
  EXPECT_FALSE(changed(v4_, [](auto &of) { of.claim_tcp_header_words(4); }));
  EXPECT_FALSE(changed(v4_, [](auto &of) { of.claim_tcp_header_words(15); }));
  EXPECT_FALSE(changed(v4_, [](auto &of) { of.icmp(8, 0); }));
  EXPECT_FALSE(changed(v6_, [](auto &of) { of.claim_ip_length(0); }));
  EXPECT_FALSE(changed(v6_, [](auto &of) { of.claim_ip_length(2000); }));
  EXPECT_FALSE(changed(v6_, [](auto &of) { of.extension(60, Bytes(6, 0)); }));
  EXPECT_FALSE(changed(v6_, [](auto &of) { of.claim_udp_length(0); }));
  EXPECT_FALSE(changed(v6_, [](auto &of) { of.claim_udp_length(7); }));
  EXPECT_FALSE(changed(v6_, [](auto &of) { of.claim_udp_length(2000); }));
  const auto frame = v4_.build();
  auto view = view_of(frame);
  ++view.original_length;
  EXPECT_FALSE(is_plain(view));
  view = view_of(frame);
  view.link = LinkType::LinuxCooked;
  EXPECT_FALSE(is_plain(view));
}

/// One of each kind that is decoded at all, plain or not.
std::vector<Bytes> corpus() {
  const auto a = endpoint("10.0.0.1:40000");
  const auto b = endpoint("192.0.2.7:443");
  const auto c = endpoint("[2001:db8::1]:40000");
  const auto d = endpoint("[2001:db8::2]:443");
  std::vector<Bytes> all;
  for (const bool old : {true, false}) {
    for (int tags = 0; tags <= 2; ++tags) {
      PacketBuilder builder(old ? a : c, old ? b : d);
      for (int i = 0; i < tags; ++i) {
        builder.vlan(static_cast<std::uint16_t>(0x2064 + i), i == 0 ? 0x8100 : 0x88a8);
      }
      all.push_back(builder.tcp(tcp_flag::kSyn, 0xfffffff0).build());
      all.push_back(builder.tcp(tcp_flag::kAck, 5, 77).payload("some bytes").build());
      all.push_back(builder.tcp_options(Bytes(12, 1)).trailer(7).build());
      all.push_back(builder.udp().build());
      all.push_back(builder.payload(dns_query("a.example")).build());
      all.push_back(builder.payload(Bytes()).icmp(8, 0).trailer(0).build());
      all.push_back(builder.protocol(132).payload(Bytes(12, 1)).build());
    }
  }
  all.push_back(PacketBuilder(a, b).tcp(16, 1).ip_options(Bytes(8, 1)).build());
  all.push_back(PacketBuilder(a, b).udp().payload("part").ipv4_fragment(8, true).build());
  all.push_back(PacketBuilder(c, d).udp().extension(60, Bytes(6, 0)).payload("x").build());
  all.push_back(PacketBuilder(c, d).udp().extension(44, {0, 1, 0, 0, 0, 9}).build());
  const auto ip6 = PacketBuilder(c, d).udp().payload("x").without_link().build();
  all.push_back(in_vxlan(a, endpoint("10.0.0.2:4789"), 5, all.front()));
  all.push_back(in_teredo(a, endpoint("10.0.0.2:3544"), ip6, true));
  all.push_back(in_mpls({16}, ip6));
  all.push_back(in_pppoe(9, ip6));
  return all;
}

class DecodersAgreeTest : public testing::Test {
protected:
  void expect_agreement(const Bytes &frame) {
    for (const auto direction :
         {std::optional<FlowDirection>(), std::optional(FlowDirection::ToRemote),
          std::optional(FlowDirection::ToGuest)}) {
      auto view = view_of(frame);
      view.direction = direction;
      view.checksums_filled = true;
      plain_ += static_cast<std::uint64_t>(is_plain(view));
      ++all_;
      ASSERT_TRUE(decoders_agree(view)) << testing::PrintToString(frame);
      view.outer_tag = VlanTag{0xe005, 0x8100};
      ASSERT_TRUE(decoders_agree(view)) << testing::PrintToString(frame);
    }
  }

  std::uint64_t plain_ = 0;
  std::uint64_t all_ = 0;
};

TEST_F(DecodersAgreeTest, AboutPacketsAsTheyAreBuilt) {
  for (const Bytes &frame : corpus()) {
    ASSERT_NO_FATAL_FAILURE(expect_agreement(frame));
  }
  EXPECT_GT(plain_, 50U);
  EXPECT_GT(all_ - plain_, 50U);
}

TEST_F(DecodersAgreeTest, AboutCutOnes) {
  for (const Bytes &frame : corpus()) {
    for (std::size_t size = 0; size <= frame.size(); ++size) {
      ASSERT_NO_FATAL_FAILURE(
          expect_agreement({frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size)}));
      auto view = view_of(frame);
      view.bytes = view.bytes.first(size);
      ASSERT_TRUE(decoders_agree(view)) << size;
    }
  }
}

/// Every value of every byte of the headers: lengths, versions, types, flags.
TEST_F(DecodersAgreeTest, AboutWrongBytes) {
  for (const Bytes &frame : corpus()) {
    Bytes wrong = frame;
    for (std::size_t at = 0; at < std::min<std::size_t>(frame.size(), 90); ++at) {
      for (unsigned value = 0; value < 256; ++value) {
        wrong[at] = static_cast<std::uint8_t>(value);
        ASSERT_NO_FATAL_FAILURE(expect_agreement(wrong));
      }
      wrong[at] = frame[at];
    }
  }
  EXPECT_GT(plain_, all_ / 10);
}

TEST_F(DecodersAgreeTest, AboutSeveralWrongBytes) {
  std::mt19937 random(1);
  const auto frames = corpus();
  for (int i = 0; i < 100'000; ++i) {
    Bytes wrong = frames[random() % frames.size()];
    for (unsigned changes = random() % 4; changes > 0; --changes) {
      wrong[random() % wrong.size()] =
          static_cast<std::uint8_t>(random() % 3 == 0 ? random() : random() % 70);
    }
    wrong.resize(random() % 8 == 0 ? random() % (wrong.size() + 1) : wrong.size());
    ASSERT_NO_FATAL_FAILURE(expect_agreement(wrong));
  }
}

} // namespace
} // namespace outguard::guest
