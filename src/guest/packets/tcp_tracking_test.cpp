// Who may move a connection's positions: neither forged SYNs of the guest nor a remote end that
// lies.
#include "guest/packets/pipeline_test_fixture.h"

namespace outguard::guest {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

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

} // namespace
} // namespace outguard::guest
