// Holes in a stream that the receiver's acknowledgement says nobody will fill, and those who lie
// about that. The rest of the reassembly: packet_pipeline_test.cpp.
#include "guest/packets/pipeline_test_fixture.h"
#include "guest/packets/stream_assembler.h"

namespace outguard::guest {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

constexpr std::size_t kHole = 1000;

/// The guest is the client, unless a test says otherwise; its stream begins just before the wrap.
class HoleTest : public PipelineTest {
protected:
  static constexpr std::uint32_t kFirst = 0xffffff01; ///< of the client's stream

  void SetUp() override {
    feed(talk_.syn());
    feed(talk_.syn_ack());
  }
  /// From the server: it has all before byte `upto` of the client's stream.
  void acknowledge(std::size_t upto, std::uint8_t flags = tcp_flag::kAck) {
    feed(PacketBuilder(server_, client_)
             .tcp(flags, 5001, kFirst + static_cast<std::uint32_t>(upto))
             .build());
  }
  StreamCounters streams() { return pipeline().counters().streams; }

  Endpoint client_ = endpoint("10.0.0.1:40000"), server_ = endpoint("192.0.2.7:80");
  TcpTalk talk_{client_, server_, kFirst - 1, 5000};
  Bytes behind_ = http_request("behind.example", "/");
  const std::size_t end_ = kHole + behind_.size();
  const std::string expected_ = "http-url name http://behind.example/";
};

TEST_F(HoleTest, RequestBehindItIsSeenOnceTheReceiverHasIt) {
  feed(talk_.client_at(kHole, behind_));
  EXPECT_THAT(sink_.observed, IsEmpty());
  acknowledge(end_);
  EXPECT_THAT(sink_.observed, Contains(expected_));
  EXPECT_EQ(streams().gaps, 1U);
  EXPECT_EQ(streams().bytes_missed, kHole);
}

TEST_F(HoleTest, TheLastOfItIsEnoughAndNothingLess) {
  feed(talk_.client_at(kHole, behind_));
  acknowledge(0);
  acknowledge(kHole - 1);
  EXPECT_EQ(streams().gaps, 0U);
  acknowledge(kHole);
  EXPECT_EQ(streams().gaps, 1U);
  EXPECT_THAT(sink_.observed, Contains(expected_));
}

TEST_F(HoleTest, AnAnswerAcknowledgesToo) {
  feed(talk_.client_at(kHole, behind_));
  feed(PacketBuilder(server_, client_)
           .tcp(tcp_flag::kAck, 5001, kFirst + static_cast<std::uint32_t>(end_))
           .payload("HTTP/1.1 200 OK\r\n\r\n")
           .build());
  EXPECT_THAT(sink_.observed, Contains(expected_));
}

TEST_F(HoleTest, OneOfSeveralIsJumpedAtATime) {
  for (std::size_t i = 1; i <= 4; ++i) {
    feed(talk_.client_at(static_cast<std::int64_t>(i * kHole),
                         http_request(std::to_string(i) + ".example", "/")));
  }
  acknowledge(3 * kHole - 1);
  EXPECT_EQ(streams().gaps, 2U);
  EXPECT_EQ(streams().bytes_missed, 2 * kHole - http_request("1.example", "/").size());
  EXPECT_THAT(sink_.observed, Contains("http-host name 2.example"));
  EXPECT_THAT(sink_.observed, Not(Contains("http-host name 3.example")));
  acknowledge(3 * kHole);
  EXPECT_THAT(sink_.observed, Contains("http-host name 3.example"));
  EXPECT_THAT(sink_.observed, Not(Contains("http-host name 4.example")));
}

TEST_F(HoleTest, NothingIsDeliveredTwice) {
  feed(talk_.client_at(kHole, behind_));
  acknowledge(end_);
  const auto observed = sink_.observed;
  feed(talk_.client_at(0, Bytes(kHole, 'x'))); // late, and no hole is left
  feed(talk_.client_at(kHole, behind_));
  acknowledge(end_);
  acknowledge(kHole);
  EXPECT_EQ(sink_.observed, observed);
  EXPECT_EQ(streams().repeated, 2U);
  EXPECT_EQ(streams().gaps, 1U);
}

TEST_F(HoleTest, LostEndOfTheGuestsBytesDoesNotHideWhatWaits) {
  feed(talk_.client_at(kHole, behind_));
  acknowledge(end_ + 500); // the ring lost what is behind, too
  EXPECT_THAT(sink_.observed, IsEmpty());
  feed(PacketBuilder(client_, server_) // the guest acknowledges something: that is where it stands
           .tcp(tcp_flag::kAck, kFirst + static_cast<std::uint32_t>(end_) + 500, 5001)
           .build());
  acknowledge(end_ + 500);
  EXPECT_THAT(sink_.observed, Contains(expected_));
}

TEST_F(HoleTest, AcknowledgedFinIsNoByteTooMany) {
  feed(talk_.client_at(kHole, behind_));
  feed(PacketBuilder(client_, server_)
           .tcp(tcp_flag::kAck | tcp_flag::kFin, kFirst + static_cast<std::uint32_t>(end_), 5001)
           .build());
  acknowledge(end_ + 1);
  EXPECT_THAT(sink_.observed, Contains(expected_));
}

/// A hello whose first half comes last: each of these would hide it if it were believed.
class LyingAcknowledgementTest : public HoleTest {
protected:
  static constexpr std::size_t kHalf = 500;

  void wait() { feed(talk_.client_at(kHalf, {hello_.begin() + kHalf, hello_.end()})); }
  void TearDown() override {
    EXPECT_THAT(sink_.observed, IsEmpty());
    EXPECT_EQ(streams().gaps, 0U);
    feed(talk_.client_at(0, {hello_.begin(), hello_.begin() + kHalf}));
    EXPECT_THAT(sink_.observed, ElementsAre("tls-sni name c2.example"));
    EXPECT_EQ(streams().bytes_missed, 0U);
    HoleTest::TearDown();
  }
  Bytes hello_ = client_hello({.server_name = "c2.example", .key_share = 1216});
};

TEST_F(LyingAcknowledgementTest, BeyondWhatTheGuestHasSent) {
  wait();
  for (const std::size_t beyond : {1U, 2U, 1000U, 0x100000U, 0x40000000U, 0x70000000U}) {
    acknowledge(hello_.size() + beyond);
  }
}

TEST_F(LyingAcknowledgementTest, BeforeTheSegmentBehindTheHole) {
  acknowledge(hello_.size());
  acknowledge(kHalf);
  wait();
}

TEST_F(LyingAcknowledgementTest, OfTheSendersOwnSide) {
  wait();
  for (const auto upto : {kHalf, hello_.size()}) { // by number; it is the server's stream
    feed(PacketBuilder(client_, server_)
             .tcp(tcp_flag::kAck, kFirst, kFirst + static_cast<std::uint32_t>(upto))
             .build());
  }
}

TEST_F(LyingAcknowledgementTest, OfBytesLongGone) {
  wait();
  for (const std::uint32_t back : {1U, 0x1000U, 0x40000000U, 0x7fffff00U}) {
    acknowledge(std::size_t{0} - back);
  }
}

TEST_F(LyingAcknowledgementTest, InAPacketThatAcknowledgesNothing) {
  wait();
  acknowledge(hello_.size(), 0);
  acknowledge(hello_.size(), tcp_flag::kFin);
  acknowledge(hello_.size(), tcp_flag::kSyn | tcp_flag::kAck);
  acknowledge(hello_.size(), tcp_flag::kRst | tcp_flag::kAck);
}

using GuestServesTest = PipelineTest;

TEST_F(GuestServesTest, WhatTheGuestAcknowledgesItHas) {
  const auto remote = endpoint("192.0.2.7:40000"), guest = endpoint("10.0.0.1:80");
  TcpTalk talk(remote, guest, 1000, 5000);
  feed(talk.syn(), FlowDirection::ToGuest);
  feed(talk.syn_ack(), FlowDirection::ToRemote);
  feed(talk.client_at(kHole, http_request("behind.example", "/")), FlowDirection::ToGuest);
  const auto acknowledge = [&](std::uint32_t upto) {
    feed(PacketBuilder(guest, remote).tcp(tcp_flag::kAck, 5001, 1001 + upto).build(),
         FlowDirection::ToRemote);
  };
  acknowledge(0);
  EXPECT_THAT(sink_.observed, IsEmpty());
  acknowledge(kHole + 20'000); // the ring lost what is behind, too
  EXPECT_THAT(sink_.observed, Contains("http-url name http://behind.example/"));
  EXPECT_EQ(pipeline().counters().streams.gaps, 1U);
}

using LittleMemoryTest = PipelineTest;

/// Room is made at the cost of others, though the one at hand was idle for longest until now.
TEST_F(LittleMemoryTest, TheAcknowledgedStreamKeepsWhatItHolds) {
  const auto client = endpoint("10.0.0.1:1"), server = endpoint("192.0.2.7:443");
  TcpTalk talk(client, server, 1000, 5000), other(endpoint("10.0.0.1:2"), server);
  const auto hello = client_hello({.server_name = "c2.example", .key_share = 1216});
  feed(talk.syn());
  feed(other.syn());
  feed(talk.client_at(kHole, {hello.begin(), hello.begin() + 1000}));
  feed(other.client_at(kHole, Bytes(1800, 'x')));
  const auto held = pipeline().counters().streams.bytes_held;
  pipeline().share_memory(config_.streams.total_bytes / (held + 500)); // no room for 1000 to grow
  ASSERT_EQ(pipeline().counters().streams.evicted, 0U);
  feed(PacketBuilder(server, client).tcp(tcp_flag::kAck, 5001, 1001 + kHole + 1000).build());
  EXPECT_EQ(pipeline().counters().streams.evicted, 1U);
  feed(talk.client_at(kHole + 1000, {hello.begin() + 1000, hello.end()}));
  EXPECT_THAT(sink_.observed, ElementsAre("tls-sni name c2.example"));
}

/// A sequence number comes again after 4 GiB, and half of all count as behind any one.
TEST_F(HoleTest, AHelloIsLookedAtHoweverManyBytesCameBefore) {
  std::uint32_t sequence = kFirst;
  for (const std::string name : {"a.example", "b.example", "c.example"}) {
    feed(PacketBuilder(client_, server_)
             .tcp(tcp_flag::kAck, sequence, 5001)
             .payload(client_hello({.server_name = name}))
             .build());
    sequence += 3U << 30;
  }
  EXPECT_THAT(sink_.observed, ElementsAre("tls-sni name a.example", "tls-sni name b.example",
                                          "tls-sni name c.example"));
}

class DecoyTest : public PipelineTest {
protected:
  void SetUp() override {
    feed_from_guest(talk_.syn());
    feed(talk_.syn_ack(), FlowDirection::ToGuest);
  }
  static Bytes damaged(Bytes frame) {
    constexpr std::size_t kChecksum = 14 + 20 + 16; // of TCP, behind Ethernet and IPv4
    frame.at(kChecksum) ^= 1;
    return frame;
  }

  TcpTalk talk_{endpoint("10.0.0.1:40000"), endpoint("192.0.2.7:80")};
  const Bytes decoy_ = http_request("good.example", "/"), real_ = http_request("evil.example", "/");
};

TEST_F(DecoyTest, ASegmentThatNoReceiverTakesIsNotBelieved) {
  feed_from_guest(damaged(talk_.client_at(0, decoy_)));
  feed_from_guest(talk_.from_client(real_));
  EXPECT_THAT(sink_.observed, Contains("http-host name evil.example"));
  EXPECT_THAT(sink_.observed, Not(Contains("http-host name good.example")));
  EXPECT_EQ(pipeline().counters().streams.bad_checksums, 1U);
}

/// RFC 8200, 8.1: the checksum is that of the last address of a routing header.
TEST_F(DecoyTest, ASegmentWithAnotherDestinationToComeIsBelieved) {
  const auto to_last = endpoint("[2001:db8::2]:80");
  Bytes route(38); // RFC 8754: one more address to go to, of two
  route[0] = 4;
  route[1] = 1;
  auto frame = PacketBuilder(endpoint("[2001:db8::1]:40000"), to_last)
                   .extension(43, route)
                   .tcp(tcp_flag::kAck, 1001, 5001)
                   .payload(real_)
                   .build();
  frame.at(14 + 39) = 3; // the last byte of its destination for now
  feed_from_guest(frame);
  EXPECT_THAT(sink_.observed, Contains("http-host name evil.example"));
  EXPECT_EQ(pipeline().counters().streams.bad_checksums, 0U);
}

TEST_F(DecoyTest, AnOddLengthIsAddedUpToo) {
  auto odd = http_request("evil.example", "/");
  for (const std::string path : {"/", "/x"}) { // one of the two is odd
    odd = http_request("evil.example", path);
    feed_from_guest(talk_.from_client(odd));
  }
  EXPECT_EQ(pipeline().counters().streams.bad_checksums, 0U);
  EXPECT_THAT(sink_.observed, Contains("http-url name http://evil.example/x"));
}

TEST_F(DecoyTest, WhereTheHostFillsTheChecksumInItSaysNothing) {
  feed(damaged(talk_.from_client(real_)), FlowDirection::ToRemote);
  EXPECT_THAT(sink_.observed, Contains("http-host name evil.example"));
}

TEST_F(DecoyTest, NorInWhatComesToTheGuest) {
  TcpTalk served(endpoint("192.0.2.9:40000"), endpoint("10.0.0.1:80"));
  feed(served.syn(), FlowDirection::ToGuest, 0, true);
  feed_from_guest(served.syn_ack());
  feed(damaged(served.from_client(real_)), FlowDirection::ToGuest, 0, true);
  EXPECT_THAT(sink_.observed, Contains("http-host name evil.example"));
}

TEST_F(DecoyTest, AnUrgentByteIsSaidToHide) {
  constexpr std::size_t kFlags = 14 + 20 + 13;
  auto frame = talk_.from_client(real_);
  frame.at(kFlags) |= tcp_flag::kUrg;
  feed(frame, FlowDirection::ToRemote);
  EXPECT_EQ(pipeline().counters().streams.urgent, 1U);
  pipeline().finish();
  EXPECT_NE(sink_.last.blind & static_cast<std::uint8_t>(Blindness::Unreadable), 0);
}

} // namespace
} // namespace outguard::guest
