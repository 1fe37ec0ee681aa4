// Fragments from frames to the packet that they are, and what becomes of those that never are one.
#include <algorithm>
#include <numeric>
#include <random>

#include "guest/packets/fragment_assembler.h"
#include "guest/packets/pipeline_test_fixture.h"
#include "guest/testing/wrapping_builder.h"

namespace outguard::guest {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class FragmentTest : public PipelineTest {
protected:
  static constexpr const char *kQuestion =
      "dns-name name a-name-of-some-length.some-more-of-it.fragments.example";

  [[nodiscard]] static Bytes query_from(Endpoint from, Endpoint to) {
    return PacketBuilder(from, to)
        .udp()
        .payload(dns_query("a-name-of-some-length.some-more-of-it.fragments.example"))
        .build();
  }
  void feed_all(const std::vector<Bytes> &frames) {
    for (const Bytes &frame : frames) {
      feed(frame, FlowDirection::ToRemote);
    }
  }
  PacketCounters packets() { return pipeline().counters().packets; }
  FragmentCounters fragments() { return pipeline().counters().fragments; }
  std::uint64_t dropped(DropReason reason) { return packets().dropped_for(reason); }
  void begin_anew() {
    pipeline_.reset();
    fed_ = 0;
    sink_ = {};
  }

  Bytes v4_ = query_from(endpoint("10.0.0.1:40000"), endpoint("192.0.2.53:53"));
  Bytes v6_ = query_from(endpoint("[2001:db8::1]:40000"), endpoint("[2001:db8::2]:53"));
};

TEST_F(FragmentTest, AllOrdersOfFourAreTheSamePacket) {
  for (const Bytes &whole : {v4_, v6_}) {
    const auto parts = in_fragments(whole, 24);
    ASSERT_THAT(parts, SizeIs(4));
    std::vector<std::size_t> order(parts.size());
    std::iota(order.begin(), order.end(), 0);
    do {
      for (const std::size_t part : order) {
        EXPECT_THAT(sink_.observed, IsEmpty());
        feed(parts[part], FlowDirection::ToRemote);
        expect_balanced();
      }
      EXPECT_THAT(sink_.started, SizeIs(1));
      EXPECT_THAT(sink_.observed, ElementsAre(kQuestion));
      EXPECT_EQ(packets().processed, 4U);
      EXPECT_EQ(packets().dropped_total(), 0U);
      EXPECT_EQ(fragments().waiting, 0U);
      EXPECT_EQ(fragments().bytes_held, 0U);
      const auto seen = pipeline().describe(*sink_.newest);
      EXPECT_EQ(seen.packets_to_remote, 4U);
      std::uint64_t bytes = 0;
      for (const Bytes &part : parts) {
        bytes += part.size();
      }
      EXPECT_EQ(seen.bytes_to_remote, bytes);
      begin_anew();
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

TEST_F(FragmentTest, TheFlowBeginsWithTheFirstPart) {
  const auto parts = in_fragments(v4_, 24);
  feed(parts[1]);
  EXPECT_THAT(sink_.started, IsEmpty());
  EXPECT_EQ(packets().seen, 0U);
  feed(parts[0]);
  EXPECT_THAT(sink_.started, ElementsAre("10.0.0.1:40000 > 192.0.2.53:53"));
  EXPECT_EQ(packets().processed, 1U);
  EXPECT_EQ(fragments().waiting, 1U);
  pipeline().expire(now_ns_ + 29'000 * kMillisecond);
  EXPECT_EQ(fragments().waiting, 1U);
  pipeline().expire(now_ns_ + 31'000 * kMillisecond);
  EXPECT_EQ(dropped(DropReason::FragmentIncomplete), 1U);
  EXPECT_EQ(packets().seen, 2U);
}

TEST_F(FragmentTest, Ipv6WaitsLonger) {
  feed(in_fragments(v6_, 24)[1]);
  pipeline().expire(now_ns_ + 59'000 * kMillisecond);
  EXPECT_EQ(fragments().waiting, 1U);
  pipeline().expire(now_ns_ + 61'000 * kMillisecond);
  EXPECT_EQ(dropped(DropReason::FragmentIncomplete), 1U);
}

TEST_F(FragmentTest, LatePartsBeginAnewThoughNobodyLooked) {
  const auto parts = in_fragments(v4_, 24);
  feed_all({parts[0], parts[1], parts[2]});
  now_ns_ += 31'000 * kMillisecond;
  feed(parts[3]);
  EXPECT_THAT(sink_.observed, IsEmpty());
  EXPECT_EQ(dropped(DropReason::FragmentIncomplete), 2U); // the first opened the flow
  feed_all({parts[0], parts[1], parts[2]});
  EXPECT_THAT(sink_.observed, ElementsAre(kQuestion));
}

TEST_F(FragmentTest, TinyFirstPartLeavesPortsToTheWhole) {
  const auto parts = in_fragments(PacketBuilder(endpoint("10.0.0.1:4"), endpoint("192.0.2.7:80"))
                                      .tcp(tcp_flag::kAck, 1)
                                      .payload(http_request("tiny.example", "/"))
                                      .build(),
                                  8);
  feed_all({parts[0], parts[1]});
  EXPECT_THAT(sink_.started, IsEmpty());
  feed_all({parts.begin() + 2, parts.end()});
  EXPECT_THAT(sink_.started, SizeIs(1));
  EXPECT_THAT(sink_.observed, Contains("http-url name http://tiny.example/"));
  EXPECT_EQ(packets().processed, parts.size());
}

TEST_F(FragmentTest, RepeatedPartsChangeNothing) {
  const auto parts = in_fragments(v4_, 24);
  auto other = v4_;
  std::fill(other.begin() + 60, other.end(), std::uint8_t{'x'});
  feed_all({parts[0], parts[0], parts[1], fragment_of(other, 0, 48), fragment_of(other, 24, 32),
            parts[2], parts[3]});
  EXPECT_THAT(sink_.observed, ElementsAre(kQuestion));
  EXPECT_EQ(dropped(DropReason::FragmentRepeated), 3U);
  EXPECT_EQ(packets().processed, 4U);
}

TEST_F(FragmentTest, OverlapEndsThePacket) {
  for (const Bytes &whole : {v4_, v6_}) {
    const auto parts = in_fragments(whole, 24);
    feed_all({parts[0], parts[1], fragment_of(whole, 40, 72)});
    EXPECT_EQ(dropped(DropReason::FragmentOverlap), 2U);
    EXPECT_EQ(packets().processed, 1U);
    feed_all({parts[2], parts[3]}); // of a packet without a beginning
    EXPECT_THAT(sink_.observed, IsEmpty());
    feed_all({parts[0], parts[1]});
    EXPECT_THAT(sink_.observed, ElementsAre(kQuestion));
    begin_anew();
  }
}

TEST_F(FragmentTest, PartsThatMetMeanwhileAreTwoRunsForLinux) {
  const auto parts = in_fragments(v4_, 24);
  feed_all({parts[1], parts[0]}); // the second did not come behind the first
  feed(fragment_of(v4_, 8, 32));
  EXPECT_EQ(dropped(DropReason::FragmentOverlap), 2U);
  EXPECT_EQ(fragments().packets, 0U);
  feed_all({parts[0], parts[1], fragment_of(v4_, 8, 32)}); // one run
  EXPECT_EQ(dropped(DropReason::FragmentRepeated), 1U);
}

TEST_F(FragmentTest, ContradictingEndsAreRefused) {
  const auto shorter = PacketBuilder(endpoint("10.0.0.1:40000"), endpoint("192.0.2.53:53"))
                           .udp()
                           .payload(Bytes(40, 'x'))
                           .build();
  feed_all({fragment_of(v4_, 48, 500), fragment_of(shorter, 40, 500)});
  EXPECT_EQ(dropped(DropReason::FragmentBad), 2U);
  feed_all({fragment_of(shorter, 40, 500), fragment_of(v4_, 48, 56)});
  EXPECT_EQ(dropped(DropReason::FragmentBad), 4U);
  auto beyond = fragment_of(v4_, 0, 24);
  beyond[20] = 0x3f; // offset 65,528
  beyond[21] = 0xff;
  feed(beyond);
  EXPECT_EQ(dropped(DropReason::FragmentBad), 5U);
  auto empty = fragment_of(v4_, 24, 24);
  feed(empty);
  EXPECT_EQ(dropped(DropReason::FragmentBad), 6U);
  EXPECT_EQ(fragments().packets, 0U);
}

TEST_F(FragmentTest, OddSizesAreCutOrRefusedByFamily) {
  feed_all({fragment_of(v4_, 0, 27), fragment_of(v4_, 24, 500)});
  EXPECT_THAT(sink_.observed, ElementsAre(kQuestion));
  feed_all({fragment_of(v6_, 0, 27), fragment_of(v6_, 24, 500)});
  EXPECT_EQ(dropped(DropReason::FragmentBad), 1U);
  feed(fragment_of(v6_, 0, 24));
  EXPECT_THAT(sink_.observed, SizeIs(2));
}

TEST_F(FragmentTest, PacketsAreToldApart) {
  auto icmp = v4_;
  icmp[23] = 1;
  const auto other = query_from(endpoint("10.0.0.1:40000"), endpoint("192.0.2.54:53"));
  feed(fragment_of(v4_, 0, 24, 1));
  feed(fragment_of(v4_, 24, 500, 2));
  feed(fragment_of(icmp, 24, 500, 1));
  feed(fragment_of(other, 24, 500, 1));
  auto tagged = fragment_of(v4_, 24, 500, 1);
  tagged.insert(tagged.begin() + 12, {0x81, 0, 0, 5});
  feed(tagged);
  EXPECT_THAT(sink_.observed, IsEmpty());
  EXPECT_EQ(fragments().packets, 5U);
  feed(fragment_of(v4_, 24, 500, 1));
  EXPECT_THAT(sink_.observed, SizeIs(1));
}

TEST_F(FragmentTest, ExtensionHeadersBehindTheFragmentHeader) {
  auto whole = PacketBuilder(endpoint("[2001:db8::1]:40000"), endpoint("[2001:db8::2]:53"))
                   .udp()
                   .extension(60, Bytes(6, 0))
                   .payload(dns_query("options.example"))
                   .build();
  feed_all(in_fragments(whole, 16));
  EXPECT_THAT(sink_.observed, ElementsAre("dns-name name options.example"));
  whole = PacketBuilder(endpoint("[2001:db8::1]:40000"), endpoint("[2001:db8::2]:53"))
              .udp()
              .extension(44, {0, 1, 0, 0, 0, 1})
              .build();
  feed_all(in_fragments(whole, 8)); // fragments of a fragment
  EXPECT_EQ(dropped(DropReason::TooManyExtensions), 2U);
}

TEST_F(FragmentTest, CutByTheCapture) {
  const auto parts = in_fragments(v4_, 48);
  feed(parts[0], std::nullopt, 10);
  EXPECT_THAT(sink_.started, SizeIs(1)); // its addresses are there all the same
  feed(parts[1], std::nullopt, 10);
  EXPECT_EQ(dropped(DropReason::FragmentBad), 1U);
  EXPECT_EQ(packets().processed, 1U);
  auto query = dns_query("a-name-of-some-length.some-more-of-it.fragments.example");
  query.resize(query.size() + 40);
  const auto whole =
      PacketBuilder(endpoint("10.0.0.1:4"), endpoint("192.0.2.53:53")).udp().payload(query).build();
  feed(fragment_of(whole, 0, 104), std::nullopt, 10);
  EXPECT_THAT(sink_.observed, ElementsAre(kQuestion)); // all of the name is there
}

TEST_F(FragmentTest, InAndAroundTunnels) {
  const auto ip = Bytes(v4_.begin() + 14, v4_.end());
  const auto from = endpoint("192.0.2.1:0");
  const auto to = endpoint("192.0.2.2:0");
  feed_all(in_fragments(in_gre(from, to, 0, 0x0800, ip), 32)); // around
  EXPECT_THAT(sink_.observed, ElementsAre(kQuestion));
  EXPECT_EQ(pipeline().counters().inside.processed, 1U);
  const auto before = packets().processed;
  for (const Bytes &part : in_fragments(v4_, 24)) { // inside
    feed(in_gre(from, to, 0, 0x0800, Bytes(part.begin() + 14, part.end())));
    expect_balanced();
  }
  EXPECT_THAT(sink_.observed, SizeIs(2));
  EXPECT_EQ(packets().processed, before + 4);
  EXPECT_EQ(pipeline().counters().inside.processed, 5U);
  feed(in_gre(from, to, 0, 0x0800, Bytes(ip)));
  const auto lone = fragment_of(v4_, 24, 48, 9);
  feed(in_gre(from, to, 0, 0x0800, Bytes(lone.begin() + 14, lone.end())));
  pipeline().finish();
  EXPECT_EQ(pipeline().counters().inside.dropped_for(DropReason::FragmentIncomplete), 1U);
  EXPECT_EQ(packets().dropped_total(), 0U);
}

TEST_F(FragmentTest, FloodIsBoundedAndCounted) {
  config_.fragments = {.packets = 20, .packets_of_pair = 5, .parts = 10, .total_bytes = 5000};
  const auto big = PacketBuilder(endpoint("10.0.0.1:4"), endpoint("192.0.2.7:5"))
                       .udp()
                       .payload(Bytes(4000, 'x'))
                       .build();
  for (std::uint32_t id = 0; id < 50; ++id) { // of one pair
    feed(fragment_of(big, 8, 16, id));
    EXPECT_LE(fragments().packets, 5U);
  }
  EXPECT_EQ(dropped(DropReason::FragmentIncomplete), 45U);
  for (std::uint32_t host = 0; host < 50; ++host) {
    auto frame = fragment_of(big, 8, 16, 1);
    frame[29] = static_cast<std::uint8_t>(host);
    feed(frame);
    EXPECT_LE(fragments().packets, 20U);
  }
  for (std::uint32_t id = 100; id < 150; ++id) {
    auto frame = fragment_of(big, 8, 1008, id);
    frame[29] = static_cast<std::uint8_t>(id);
    feed(frame);
    EXPECT_LE(fragments().bytes_held, 5000U);
  }
  for (std::uint16_t at = 8; at < 200; at = static_cast<std::uint16_t>(at + 16)) { // no run
    feed(fragment_of(big, at, at + 8U, 999));
    EXPECT_LE(fragments().bytes_held, 5000U);
  }
  expect_balanced();
  pipeline().finish();
  EXPECT_EQ(packets().seen, fed_);
  EXPECT_EQ(packets().dropped_total(), fed_);
}

TEST_F(FragmentTest, NewcomersFindRoom) {
  config_.fragments.total_bytes = 3000;
  const auto big = PacketBuilder(endpoint("10.0.0.1:4"), endpoint("192.0.2.7:5"))
                       .udp()
                       .payload(Bytes(2800, 'x'))
                       .build();
  feed(fragment_of(big, 8, 2808, 1));
  feed_all(in_fragments(v4_, 24, 2));
  EXPECT_THAT(sink_.observed, ElementsAre(kQuestion));
  EXPECT_EQ(dropped(DropReason::FragmentIncomplete), 1U);
}

TEST_F(FragmentTest, MemoryIsSharedAmongTaps) {
  config_.fragments.total_bytes = 6000;
  const auto big = PacketBuilder(endpoint("10.0.0.1:4"), endpoint("192.0.2.7:5"))
                       .udp()
                       .payload(Bytes(1600, 'x'))
                       .build();
  feed(fragment_of(big, 8, 1608, 1));
  feed(fragment_of(big, 8, 1608, 2));
  EXPECT_EQ(fragments().packets, 2U);
  pipeline().share_memory(2);
  feed(fragment_of(big, 8, 1608, 3));
  EXPECT_EQ(fragments().packets, 1U);
}

} // namespace
} // namespace outguard::guest
