// The packet path from frames to observables, and above all its reassembly.
#include "guest/packets/packet_pipeline.h"
#include "guest/packets/pipeline_test_fixture.h"
#include "guest/protocols/quic_test_builder.h"

namespace outguard::guest {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

Bytes slice(const Bytes &bytes, std::size_t from, std::size_t to = SIZE_MAX) {
  to = std::min(to, bytes.size());
  return {bytes.begin() + static_cast<std::ptrdiff_t>(from),
          bytes.begin() + static_cast<std::ptrdiff_t>(to)};
}

class StreamTest : public PipelineTest {
protected:
  void SetUp() override {
    feed(talk_.syn());
    feed(talk_.syn_ack());
  }
  StreamCounters streams() { return pipeline().counters().streams; }

  TcpTalk talk_{endpoint("10.0.0.1:40000"), endpoint("192.0.2.7:443"), 0xffffff00, 5000};
  Bytes hello_ = client_hello({.server_name = "c2.example", .key_share = 1216});
  const std::string expected_ = "tls-sni name c2.example";
};

TEST_F(StreamTest, HelloInOneSegmentIsNeverCopied) {
  feed(talk_.from_client(hello_));
  EXPECT_THAT(sink_.observed, ElementsAre(expected_));
  EXPECT_EQ(sink_.observed_ns, kStart + 2 * kMillisecond);
  EXPECT_EQ(streams().live, 0U);
  pipeline().finish();
  EXPECT_EQ(pipeline().describe(sink_.last).app_protocol, "tls");
}

TEST_F(StreamTest, HelloOverManySegmentsIsReleasedWhenDone) {
  for (std::size_t at = 0; at < hello_.size(); at += 100) {
    EXPECT_THAT(sink_.observed, IsEmpty());
    feed(talk_.from_client(slice(hello_, at, at + 100)));
    EXPECT_EQ(streams().live, sink_.observed.empty() ? 1U : 0U);
  }
  EXPECT_THAT(sink_.observed, ElementsAre(expected_));
  EXPECT_EQ(streams().bytes_held, 0U);
}

TEST_F(StreamTest, LastSegmentFirst) {
  const auto first = slice(hello_, 0, 500);
  const auto second = slice(hello_, 500, 900);
  const auto third = slice(hello_, 900);
  feed(talk_.client_at(900, third));
  feed(talk_.client_at(500, second));
  const auto held = streams().bytes_held;
  feed(talk_.client_at(500, second)); // twice
  EXPECT_EQ(streams().bytes_held, held);
  EXPECT_THAT(sink_.observed, IsEmpty());
  EXPECT_EQ(streams().segments_waited, 3U);
  EXPECT_EQ(streams().repeated, 1U);
  feed(talk_.client_at(0, first));
  EXPECT_THAT(sink_.observed, ElementsAre(expected_));
}

TEST_F(StreamTest, RetransmissionsAndKeepAlivesChangeNothing) {
  feed(talk_.from_client(slice(hello_, 0, 500)));
  feed(talk_.client_at(-500, slice(hello_, 0, 500)));
  feed(talk_.client_at(-1, {'!'}));
  EXPECT_EQ(streams().repeated, 2U);
  feed(talk_.client_at(-100, slice(hello_, 400, 900))); // overlaps what is there, and goes on
  feed(talk_.client_at(400, slice(hello_, 900)));
  EXPECT_THAT(sink_.observed, ElementsAre(expected_));
}

TEST_F(StreamTest, DeliveredBytesCannotBeRewritten) {
  const auto other = client_hello({.server_name = "nice.name!", .key_share = 1216});
  ASSERT_EQ(other.size(), hello_.size());
  const auto most = hello_.size() - 3;
  feed(talk_.from_client(slice(hello_, 0, most)));
  feed(talk_.client_at(-static_cast<std::int64_t>(most), other));
  EXPECT_THAT(sink_.observed, ElementsAre(expected_));
}

TEST_F(StreamTest, OfWaitingSegmentsTheLowerStartWins) {
  auto wrong = hello_;
  std::fill(wrong.begin() + 600, wrong.end(), std::uint8_t{0xee});
  feed(talk_.client_at(500, slice(hello_, 500)));
  feed(talk_.client_at(600, slice(wrong, 600)));       // inside the first: dropped
  feed(talk_.client_at(400, slice(hello_, 400, 600))); // begins lower: its bytes are taken
  feed(talk_.client_at(0, slice(hello_, 0, 450)));
  EXPECT_THAT(sink_.observed, ElementsAre(expected_));
}

TEST_F(StreamTest, CoveringSegmentReplacesTheWaitingOnes) {
  auto wrong = hello_;
  std::fill(wrong.begin() + 600, wrong.end(), std::uint8_t{0xee});
  feed(talk_.client_at(600, slice(wrong, 600, 700)));
  feed(talk_.client_at(700, slice(wrong, 700, 800)));
  const auto held = streams().bytes_held;
  feed(talk_.client_at(500, slice(hello_, 500)));
  EXPECT_EQ(streams().bytes_held,
            held - 200 + hello_.size() - 500 - StreamAssembler::kWaitingOverhead);
  feed(talk_.client_at(0, slice(hello_, 0, 500)));
  EXPECT_THAT(sink_.observed, ElementsAre(expected_));
}

TEST_F(StreamTest, OneByteSegments) {
  for (const std::uint8_t byte : hello_) {
    feed(talk_.from_client({byte}));
  }
  EXPECT_THAT(sink_.observed, ElementsAre(expected_));
}

TEST_F(StreamTest, MessageBeyondTheCapIsGivenUp) {
  const auto request = bytes_of("GET /" + std::string(40000, 'a'));
  for (std::size_t at = 0; at < request.size(); at += 1400) {
    feed(talk_.from_client(slice(request, at, at + 1400)));
    EXPECT_LE(streams().bytes_held, 17000U);
  }
  EXPECT_EQ(streams().gave_up, 1U);
  EXPECT_EQ(streams().live, 0U);
}

TEST_F(StreamTest, LargeHeadDoesNotHideTheNextRequest) {
  const auto request = bytes_of("GET / HTTP/1.1\r\nX: " + std::string(40000, 'a') + "\r\n\r\n");
  feed(talk_.from_client(slice(request, 0, 30000))); // one frame that no buffer takes
  for (std::size_t at = 0; at < request.size(); at += 9000) {
    feed(talk_.from_client(slice(request, at, at + 9000)));
  }
  EXPECT_EQ(streams().gave_up, 2U);
  feed(talk_.from_client(http_request("behind.example", "/")));
  EXPECT_THAT(sink_.observed, Contains("http-url name http://behind.example/"));
}

TEST_F(StreamTest, GapIsJumpedWhenTooMuchWaits) {
  auto request = http_request("after.example", "/gap");
  request.resize(request.size() + 20000, 'x');
  feed(talk_.from_client(slice(hello_, 0, 100)));
  feed(talk_.client_at(1000, Bytes(60000, 'x')));
  feed(talk_.client_at(61000, Bytes(60000, 'x')));
  EXPECT_EQ(streams().gaps, 0U);
  feed(talk_.client_at(121000, request));
  EXPECT_EQ(streams().gaps, 1U);
  EXPECT_EQ(streams().bytes_missed, 1000U);
  EXPECT_THAT(sink_.observed, Contains("http-url name http://after.example/gap"));
  EXPECT_LT(streams().bytes_held, 33000U);
}

TEST_F(StreamTest, WildSequenceNumbersDoNotBlind) {
  feed(talk_.client_at(0x10000000, Bytes(10, 'x')));
  feed(talk_.client_at(-0x10000000, Bytes(10, 'x')));
  feed(talk_.from_client(hello_));
  EXPECT_THAT(sink_.observed, ElementsAre(expected_));
  EXPECT_EQ(streams().resyncs, 3U);
  EXPECT_EQ(streams().live, 0U);
}

TEST_F(StreamTest, NeitherUnknownLinesNorAHelloHideOneBehind) {
  for (int i = 0; i < 20; ++i) {
    feed(talk_.from_client(bytes_of("a1 NOOP\r\n")));
    feed(talk_.from_server(bytes_of("* OK\r\n")));
  }
  EXPECT_EQ(streams().live, 0U); // let go
  const auto front = client_hello({.server_name = "front.example"});
  feed(talk_.from_client(front));
  feed(talk_.client_at(-static_cast<std::int64_t>(front.size()), front)); // again
  EXPECT_THAT(sink_.observed, ElementsAre("tls-sni name front.example"));
  feed(talk_.from_client(bytes_of("a2 STARTTLS\r\n")));
  feed(talk_.from_client(slice(hello_, 0, 500)));
  feed(talk_.from_client(slice(hello_, 500)));
  EXPECT_THAT(sink_.observed, ElementsAre("tls-sni name front.example", expected_));
  EXPECT_EQ(streams().live, 0U);
}

TEST_F(StreamTest, ResetAndFinDoNotBlind) {
  feed(talk_.client_rst()); // any process with a raw socket can send one that nobody heeds
  feed(talk_.from_client(slice(hello_, 0, 500)));
  feed(talk_.client_fin());
  (void)talk_.client_at(0, {});
  feed(talk_.client_at(-1, slice(hello_, 500)));
  EXPECT_THAT(sink_.observed, ElementsAre(expected_));
}

TEST_F(StreamTest, BodiesAreSkippedAcrossSegmentsAndGaps) {
  const auto post = http_request("a.example", "/up", "POST", std::string(50000, 'b'));
  feed(talk_.from_client(slice(post, 0, 1000)));
  (void)talk_.from_client(slice(post, 1000, 30000));          // never captured
  for (std::size_t at = 30000; at < post.size(); at += 500) { // more than may wait
    feed(talk_.from_client(slice(post, at, at + 500)));
  }
  feed(talk_.from_client(http_request("b.example", "/next")));
  EXPECT_THAT(sink_.observed, Contains("http-url name http://a.example/up"));
  EXPECT_THAT(sink_.observed, Contains("http-url name http://b.example/next"));
  EXPECT_EQ(streams().gaps, 1U);
}

TEST_F(StreamTest, CutSegmentLeavesAGapAtOnce) {
  const auto post = http_request("a.example", "/up", "POST", std::string(500, 'b'));
  feed(talk_.from_client(post), std::nullopt, 450);
  feed(talk_.from_client(http_request("b.example", "/next")));
  EXPECT_THAT(sink_.observed, Contains("http-url name http://b.example/next"));
  EXPECT_EQ(streams().gaps, 1U);
}

TEST_F(StreamTest, OnePacketShowsNoMoreThanIsTakenFromOne) {
  std::string hosts = "GET / HTTP/1.1\r\n";
  std::string requests;
  for (int i = 0; i < 1500; ++i) { // a packet has 64 KiB at most
    hosts += "Host: a\r\nHost:b\r\n";
    requests += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: b\r\n\r\n";
  }
  feed(talk_.from_client(bytes_of(hosts + "\r\n")));
  const auto shown = pipeline().counters().observables;
  EXPECT_GT(shown, 1000U);
  EXPECT_LT(shown, 2048U); // 128 KiB, 64 bytes each
  EXPECT_EQ(pipeline().counters().overfull, 1U);

  feed(talk_.from_client(bytes_of(requests)));
  EXPECT_LT(pipeline().counters().observables, 2 * 2048U);
  EXPECT_EQ(pipeline().counters().overfull, 2U);

  sink_.observed.clear();
  feed(talk_.from_client(http_request("c2.example", "/")));
  EXPECT_THAT(sink_.observed, Contains("http-host name c2.example"));
  EXPECT_EQ(pipeline().counters().overfull, 2U);
}

TEST_F(StreamTest, WhatStandsForMuchCostsNoMore) {
  // Two bytes of each frame stand for 400; nothing is observed, for there is no host.
  auto frames = bytes_of(kHttp2Preface);
  const auto append = [&frames](const Bytes &more) {
    frames.insert(frames.end(), more.begin(), more.end());
  };
  append({0, 0, 211, 1, 4, 0, 0, 0, 1, 0x40, 5, ':', 'p', 'a', 't', 'h', 0x7f, 0x4a});
  append(Bytes(201, 'x'));
  append({0x82});
  for (std::uint8_t stream = 3; frames.size() < 60'000; stream += 2) {
    append({0, 0, 2, 1, 4, 0, 0, 0, stream, 0x82, 0xbe});
  }
  feed(talk_.from_client(frames));
  EXPECT_EQ(pipeline().counters().overfull, 1U);
}

TEST_F(StreamTest, TotalMemoryIsCapped) {
  pipeline_.reset();
  fed_ = 0;
  sink_ = {};
  config_.streams.total_bytes = 100'000;
  for (std::uint16_t port = 1; port <= 200; ++port) {
    TcpTalk talk({IpAddress::parse("10.0.0.1").value(), port}, endpoint("192.0.2.7:443"));
    feed(talk.syn());
    feed(talk.client_at(0, slice(hello_, 0, 1000)));
    feed(talk.client_at(1200, slice(hello_, 1200)));
    ASSERT_LE(streams().bytes_held, 100'000U);
  }
  EXPECT_GT(streams().evicted, 100U);
  TcpTalk newcomer(endpoint("10.0.0.1:201"), endpoint("192.0.2.7:443"));
  feed(newcomer.from_client(slice(hello_, 0, 1000)));
  feed(newcomer.from_client(slice(hello_, 1000)));
  EXPECT_THAT(sink_.observed, ElementsAre(expected_)); // who holds and waits makes room
}

class MidStreamTest : public PipelineTest {};

TEST_F(MidStreamTest, BeginsAtTheFirstData) {
  TcpTalk talk(endpoint("10.0.0.1:40000"), endpoint("192.0.2.7:443"));
  const auto hello = client_hello({.server_name = "c2.example"});
  feed(talk.from_client(slice(hello, 0, 50)));
  feed(talk.from_client(slice(hello, 50)));
  EXPECT_THAT(sink_.observed, ElementsAre("tls-sni name c2.example"));
}

TEST_F(MidStreamTest, DataInTheSynCounts) {
  const auto request = http_request("tfo.example", "/");
  feed(PacketBuilder(endpoint("10.0.0.1:4"), endpoint("192.0.2.7:80"))
           .tcp(tcp_flag::kSyn, 99)
           .payload(slice(request, 0, 20))
           .build());
  feed(PacketBuilder(endpoint("10.0.0.1:4"), endpoint("192.0.2.7:80"))
           .tcp(tcp_flag::kAck, 120)
           .payload(slice(request, 20))
           .build());
  EXPECT_THAT(sink_.observed, Contains("http-url name http://tfo.example/"));
}

using DatagramTest = PipelineTest;

TEST_F(DatagramTest, NamesOfQueriesOnceAndOfLoneAnswers) {
  const auto guest = endpoint("10.0.0.1:40000");
  const auto resolver = endpoint("192.0.2.53:53");
  feed(PacketBuilder(guest, resolver).udp().payload(dns_query("a.example")).build());
  feed(PacketBuilder(resolver, guest).udp().payload(dns_answer("a.example", "192.0.2.1")).build());
  EXPECT_THAT(sink_.observed,
              ElementsAre("dns-name name a.example", "dns-answer-address address 192.0.2.1"));
  const auto other = endpoint("10.0.0.1:40001");
  feed(PacketBuilder(resolver, other).udp().payload(dns_answer("b.example", "192.0.2.1")).build());
  EXPECT_THAT(sink_.observed, SizeIs(4));
  EXPECT_EQ(sink_.observed[2], "dns-name name b.example");
}

TEST_F(DatagramTest, UnknownProtocolsAreLetGo) {
  const auto a = endpoint("10.0.0.1:40000");
  const auto b = endpoint("192.0.2.53:9999");
  const Bytes request = Bytes{0, 1, 'x', 0, 'o', 'c', 't', 'e', 't', 0};
  for (int i = 0; i < 8; ++i) {
    feed(PacketBuilder(a, b).udp().payload("not dns at all").build());
  }
  feed(PacketBuilder(a, b).udp().payload(request).build());
  EXPECT_THAT(sink_.observed, IsEmpty());
}

TEST_F(DatagramTest, NoiseHidesNoDnsOnAnyPort) {
  const auto a = endpoint("10.0.0.1:40000");
  const auto b = endpoint("192.0.2.53:9999");
  for (int i = 0; i < 20; ++i) {
    feed(PacketBuilder(a, b).udp().payload("not dns at all").build());
  }
  feed(PacketBuilder(a, b).udp().payload(dns_query("late.example")).build());
  feed(PacketBuilder(b, a).udp().payload(dns_answer("late.example", "192.0.2.1")).build());
  EXPECT_THAT(sink_.observed,
              ElementsAre("dns-name name late.example", "dns-answer-address address 192.0.2.1"));
}

TEST_F(DatagramTest, QuicHidesNoDns) {
  const auto hello =
      message(1, hello_body({.ciphers = {0x1301}, .extensions = {sni("front.example")}}));
  for (const char *server : {"192.0.2.53:53", "192.0.2.53:9999"}) {
    const auto a = endpoint("10.0.0.1:40000");
    const auto b = endpoint(server);
    feed(PacketBuilder(a, b)
             .udp()
             .payload(quic_initial({}, crypto_frame(hello, 0, hello.size())))
             .build());
    sink_.observed.clear();
    feed(PacketBuilder(a, b).udp().payload(dns_query("c2.example")).build());
    EXPECT_THAT(sink_.observed, ElementsAre("dns-name name c2.example")) << server;
  }
}

TEST_F(DatagramTest, NeitherNoiseNorAFirstConnectionHidesQuic) {
  const auto a = endpoint("10.0.0.1:40000");
  const auto b = endpoint("192.0.2.53:443");
  for (int i = 0; i < 40; ++i) {
    feed(PacketBuilder(a, b).udp().payload("noise").build());
  }
  const auto connect = [&](std::string_view name, std::uint8_t id) {
    const auto hello = message(1, hello_body({.ciphers = {0x1301}, .extensions = {sni(name)}}));
    const auto initial =
        quic_initial({.destination_id = Bytes(8, id)}, crypto_frame(hello, 0, hello.size()));
    feed(PacketBuilder(a, b).udp().payload(initial).build());
  };
  connect("one.example", 1);
  EXPECT_THAT(sink_.observed, Contains("tls-sni name one.example"));
  // The rest of its handshake has another id than its keys.
  const auto rest = quic_initial({.destination_id = Bytes(8, 9), .keys_of = Bytes(8, 1)}, {2, 0});
  feed(PacketBuilder(a, b).udp().payload(rest).build());
  connect("two.example", 2);
  EXPECT_THAT(sink_.observed, Contains("tls-sni name two.example"));
  EXPECT_EQ(pipeline().counters().protocols.quic_hellos, 2U);
  EXPECT_EQ(pipeline().counters().protocols.quic_unopened, 0U);
}

TEST_F(DatagramTest, NoiseDoesNotBlindAResolversPort) {
  const auto guest = endpoint("10.0.0.1:40000");
  const auto resolver = endpoint("192.0.2.53:53");
  for (int i = 0; i < 20; ++i) {
    feed(PacketBuilder(guest, resolver).udp().payload("noise").build());
  }
  feed(PacketBuilder(guest, resolver).udp().payload(dns_query("late.example")).build());
  EXPECT_THAT(sink_.observed, ElementsAre("dns-name name late.example"));
}

using AccountTest = PipelineTest;

TEST_F(AccountTest, EveryPacketIsProcessedOrNamed) {
  const auto a = endpoint("10.0.0.1:1");
  const auto b = endpoint("10.0.0.2:2");
  feed(PacketBuilder(a, b).udp().build());
  feed(PacketBuilder(a, b).udp().ether_type(0x0806).build());
  feed({1, 2, 3});
  const auto counters = pipeline().counters().packets;
  EXPECT_EQ(counters.processed, 1U);
  EXPECT_EQ(counters.dropped_for(DropReason::NotIp), 1U);
  EXPECT_EQ(counters.dropped_for(DropReason::LinkTooShort), 1U);
  for (std::size_t i = 0; i < kDropReasons; ++i) {
    EXPECT_STRNE(to_string(static_cast<DropReason>(i)), "unknown");
  }
  EXPECT_STREQ(to_string(static_cast<DropReason>(kDropReasons)), "unknown");
}

} // namespace
} // namespace outguard::guest
