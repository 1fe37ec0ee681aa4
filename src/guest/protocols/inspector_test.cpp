#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/protocols/inspector.h"
#include "guest/protocols/protocol_test_builder.h"
#include "guest/protocols/recording_test_sink.h"
#include "guest/testing/message_builder.h"

namespace outguard::guest {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class InspectorTest : public testing::Test {
protected:
  StreamProgress stream(const Bytes &bytes) {
    return inspector_.stream(state_, bytes, {client_, server_, StreamRole::Client}, sink_);
  }
  StreamProgress from_server(const Bytes &bytes) {
    return inspector_.stream(state_, bytes, {server_, client_, StreamRole::Server}, sink_);
  }
  /// A new stream's bytes in two pieces, as the assembler would hand them over.
  std::vector<std::string> seen_when_cut(const Bytes &bytes, std::size_t cut) {
    state_ = {};
    sink_ = RecordingSink();
    std::size_t at = 0;
    for (const std::size_t end : {cut, bytes.size()}) {
      if (at < end) {
        const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(at);
        const auto progress =
            stream(Bytes(first, bytes.begin() + static_cast<std::ptrdiff_t>(end)));
        at += progress.consumed + progress.skip;
        if (progress.done) {
          break;
        }
      }
    }
    return sink_.seen;
  }
  Inspector inspector_;
  StreamState state_;
  Endpoint client_ = endpoint("10.0.0.1:40000");
  Endpoint server_ = endpoint("192.0.2.7:443");
  RecordingSink sink_;
};

TEST_F(InspectorTest, PipelinedRequests) {
  const auto all = http_request("a.example", "/1", "POST", "xyz") + http_request("a.example", "/2");
  const auto progress = stream(all);
  EXPECT_EQ(progress.consumed, all.size());
  EXPECT_FALSE(progress.done);
  EXPECT_EQ(state_.protocol, AppProtocol::Http);
  EXPECT_THAT(sink_.seen, SizeIs(6));
  EXPECT_THAT(sink_.seen, Contains("http-url name http://a.example/2"));
}

TEST_F(InspectorTest, BodyBeyondTheBytesIsSkipped) {
  auto request = http_request("a.example", "/", "PUT", std::string(1000, 'x'));
  request.resize(request.size() - 900);
  const auto progress = stream(request);
  EXPECT_EQ(progress.consumed, request.size());
  EXPECT_EQ(progress.skip, 900U);
}

TEST_F(InspectorTest, TlsBehindAProxyAndBehindStarttls) {
  EXPECT_FALSE(stream(http_request("proxy.example:443", "proxy.example:443", "CONNECT")).done);
  EXPECT_TRUE(stream(client_hello({.server_name = "inner.example"})).done);
  EXPECT_THAT(sink_.seen, Contains("tls-sni name inner.example"));
  state_ = {};
  EXPECT_FALSE(stream(bytes_of("EHLO me\r\n")).done);
  EXPECT_FALSE(stream(bytes_of("STARTTLS\r\n")).done);
  EXPECT_EQ(state_.protocol, AppProtocol::Smtp);
  EXPECT_TRUE(stream(client_hello({.server_name = "mail.example"})).done);
  EXPECT_THAT(sink_.seen, Contains("tls-sni name mail.example"));
}

TEST_F(InspectorTest, AnAlertBeforeTheHelloHidesNothing) {
  EXPECT_TRUE(stream(Bytes{21, 3, 1, 0, 2, 1, 0} + Bytes{22, 3, 1, 0, 0} +
                     client_hello({.server_name = "c2.example"}))
                  .done);
  EXPECT_THAT(sink_.seen, Contains("tls-sni name c2.example"));
}

TEST_F(InspectorTest, ChunkedBodyDoesNotHideTheNextRequest) {
  const auto post = bytes_of("POST / HTTP/1.1\r\nContent-Length: 100000\r\n"
                             "Transfer-Encoding: chunked\r\nHost: a.example\r\n\r\n0\r\n\r\n");
  EXPECT_EQ(stream(post).skip, 0U);
  (void)stream(http_request("b.example", "/"));
  EXPECT_THAT(sink_.seen, Contains("http-url name http://b.example/"));
}

TEST_F(InspectorTest, ServersAreLetGoAtOnce) {
  EXPECT_TRUE(from_server(bytes_of("HTTP/1.1 200 OK\r\n")).done);
  EXPECT_EQ(state_.protocol, AppProtocol::Http);
}

TEST_F(InspectorTest, RepliesOfServersHideNothing) {
  for (int i = 0; i < 40; ++i) {
    ASSERT_FALSE(from_server(bytes_of("250-mail.example\r\n250 x\r\n")).done);
  }
  EXPECT_EQ(state_.misses, 0);
  int looks = 0;
  while (!from_server(bytes_of("250 a bulk of numbers\r\n")).done) {
    ASSERT_LT(++looks, 1000);
  }
}

TEST_F(InspectorTest, UnknownStreamsAreLetGo) {
  int looks = 0;
  while (!stream(bytes_of("hello there\r\n")).done) {
    ASSERT_LT(++looks, 100);
  }
  EXPECT_EQ(looks, 15);
  EXPECT_THAT(sink_.seen, IsEmpty());
}

TEST_F(InspectorTest, EveryProtocolAtEveryCut) {
  const Bytes socks = Bytes{5, 1, 0, 5, 1, 0, 3, 10} + bytes_of("c2.example") + Bytes{1, 0xbb};
  const auto web = http_request("a.example", "/x", "POST", "body");
  const auto mail = bytes_of("EHLO me.example\r\nAUTH PLAIN\r\nAGFiYw==\r\nRCPT TO:<a@b.example>"
                             "\r\nDATA\r\nx\r\n.\r\nSTARTTLS\r\n");
  const Bytes streams[] = {
      web + web,
      bytes_of(kHttp2Preface) + http2_frames(),
      bytes_of("SSH-2.0-x\r\n") + ssh_kex_init(),
      mail + client_hello({.server_name = "mail.example"}),
      bytes_of("TYPE I\r\nUSER a\r\nRETR x\r\nLIST\r\nSTOR y\r\n"),
      socks + web,
      socks + client_hello({.server_name = "inner.example"}),
      http_request("p.example", "p.example:443", "CONNECT") +
          client_hello({.server_name = "inner.example"}),
      Bytes{4, 1, 0, 80, 192, 0, 2, 7, 0} + web,
  };
  for (const auto &bytes : streams) {
    const auto wanted = seen_when_cut(bytes, 0);
    EXPECT_FALSE(wanted.empty());
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
      ASSERT_EQ(seen_when_cut(bytes, cut), wanted) << cut << " of " << wanted.front();
    }
  }
}

TEST_F(InspectorTest, WhatIsBehindProxiesIsRecognized) {
  const Bytes socks = Bytes{5, 1, 0, 5, 1, 0, 3, 10} + bytes_of("c2.example") + Bytes{1, 0xbb};
  EXPECT_THAT(seen_when_cut(socks + http_request("a.example", "/"), 3),
              ElementsAre("proxy-target name c2.example", "http-host name a.example",
                          "http-url name http://a.example/", "http-user-agent plain test"));
  EXPECT_EQ(state_.protocol, AppProtocol::Http);
  state_ = {};
  EXPECT_FALSE(from_server(bytes_of("HTTP/1.0 200 Connection established\r\n\r\n")).done);
  EXPECT_EQ(from_server(server_hello()).consumed, 0U); // TLS waits for the certificate
}

TEST_F(InspectorTest, AGreetingAloneIsNoSocks) {
  EXPECT_FALSE(stream(Bytes{5, 1, 0}).done);
  EXPECT_EQ(state_.protocol, AppProtocol::None);
  (void)stream(http_request("a.example", "/"));
  EXPECT_EQ(state_.protocol, AppProtocol::Http);
}

TEST_F(InspectorTest, UpgradeToHttp2) {
  (void)stream(bytes_of("GET /u HTTP/1.1\r\nHost: a.example\r\nUpgrade: h2c\r\n\r\n"));
  (void)stream(bytes_of(kHttp2Preface) + http2_frames());
  EXPECT_EQ(sink_.seen.front(), "http-host name a.example");
  EXPECT_EQ(sink_.seen.back(), "http-url name https://www.example.com/index.html");
}

TEST_F(InspectorTest, AfterAGapAMailIsStillAMail) {
  (void)stream(bytes_of("EHLO me.example\r\nDATA\r\nx"));
  state_.lose_place();
  (void)stream(bytes_of("RCPT TO:<a@no.example>\r\n.\r\nRCPT TO:<a@yes.example>\r\n"));
  EXPECT_THAT(sink_.seen, ElementsAre("mail-host name me.example", "mail-host name yes.example"));
  (void)stream(bytes_of(kHttp2Preface));
  EXPECT_NE(state_.http2, nullptr);
  state_.lose_place();
  EXPECT_TRUE(stream(http2_frames()).done);
  EXPECT_EQ(sink_.blind, static_cast<std::uint8_t>(Blindness::Unreadable));
}

TEST_F(InspectorTest, Http2ThatCannotBeFollowedIsSaid) {
  constexpr auto kUnreadable = static_cast<std::uint8_t>(Blindness::Unreadable);
  const auto preface = bytes_of(kHttp2Preface);
  const auto headers = [](const Bytes &block) { return http2_frame(1, 4, block); };
  const Bytes table_too_large{0x3f, 0xe1, 0xff, 0x03};
  const auto block_too_long = hpack_first_request() + Bytes(13000, 'x');
  std::uint64_t let_go = 0;
  for (const auto &block : {table_too_large, block_too_long}) {
    state_ = {};
    sink_ = RecordingSink();
    EXPECT_FALSE(stream(preface + headers(hpack_first_request())).done);
    EXPECT_EQ(sink_.blind, 0);
    EXPECT_TRUE(stream(headers(block)).done);
    EXPECT_EQ(sink_.blind, kUnreadable);
    EXPECT_EQ(inspector_.http2_let_go(), ++let_go);
  }
  state_ = {};
  std::vector<StreamState> open(Http2Shared::kMostConnections);
  const StreamEnds ends{client_, server_, StreamRole::Client};
  for (StreamState &state : open) {
    ASSERT_FALSE(inspector_.stream(state, preface, ends, sink_).done);
  }
  state_ = {};
  sink_ = RecordingSink();
  EXPECT_TRUE(stream(preface).done);
  EXPECT_EQ(inspector_.http2_refused(), 1U);
  EXPECT_EQ(sink_.blind, kUnreadable);
}

TEST_F(InspectorTest, DnsAnswersOverTcpAtEveryCut) {
  server_.port = 53;
  const auto both = over_tcp(dns_all_answers()) + over_tcp(dns_answer("b.example", "192.0.2.9"));
  for (std::size_t cut = 1; cut < both.size(); ++cut) {
    state_ = {};
    sink_ = RecordingSink();
    const auto first = both.begin() + static_cast<std::ptrdiff_t>(cut);
    const auto consumed = from_server(Bytes(both.begin(), first)).consumed;
    (void)from_server(Bytes(both.begin() + static_cast<std::ptrdiff_t>(consumed), both.end()));
    ASSERT_THAT(sink_.seen, SizeIs(13)) << cut;
    ASSERT_EQ(sink_.seen.back(), "dns-answer-address address 192.0.2.9");
  }
}

TEST_F(InspectorTest, DnsOverTcp) {
  server_.port = 53;
  const auto both = over_tcp(dns_query("a.example")) + over_tcp(dns_query("b.example"));
  EXPECT_EQ(stream(both).consumed, both.size());
  EXPECT_THAT(sink_.seen, ElementsAre("dns-name name a.example", "dns-name name b.example"));
  const auto cut = Bytes(both.begin(), both.begin() + 20);
  EXPECT_EQ(stream(cut).consumed, 0U);
  server_.port = 5300;
  EXPECT_EQ(stream(over_tcp(dns_query("c.example"))).consumed, 29U);
  EXPECT_EQ(sink_.seen.back(), "dns-name name c.example");
}

TEST_F(InspectorTest, OfALongDnsMessageTheRestIsSaidToBePassedOver) {
  server_.port = 53;
  Bytes records;
  for (int i = 0; i < 100; ++i) {
    records = std::move(records) + dns_record(16, Bytes(150, 'x'));
  }
  const auto message = over_tcp(dns_response("a.example", records, 100));
  EXPECT_EQ(from_server(Bytes(message.begin(), message.begin() + 13000)).consumed, 13000U);
  EXPECT_TRUE(sink_.passed_over());
}

TEST_F(InspectorTest, ABrokenDnsMessageHidesNoneBehindIt) {
  server_.port = 53;
  const auto query = over_tcp(dns_query("b.example"));
  for (const Bytes &broken : {Bytes{0, 1, 7}, Bytes{0, 0}, over_tcp(Bytes(40, 0xff))}) {
    state_ = {};
    sink_ = RecordingSink();
    EXPECT_EQ(stream(broken).consumed, broken.size());
    EXPECT_EQ(state_.protocol, AppProtocol::None);
    (void)stream(broken + query);
    EXPECT_THAT(sink_.seen, ElementsAre("dns-name name b.example"));
  }
}

TEST_F(InspectorTest, Datagrams) {
  const auto query = dns_query("a.example");
  EXPECT_EQ(inspector_.datagram(query, 40000, 53, false, sink_), AppProtocol::Dns);
  EXPECT_EQ(inspector_.datagram(query, 40000, 9999, false, sink_), AppProtocol::Dns);
  EXPECT_THAT(sink_.seen, SizeIs(2));
  EXPECT_EQ(inspector_.datagram(query, 137, 137, false, sink_), AppProtocol::None); // NetBIOS
  EXPECT_EQ(inspector_.datagram(query, 137, 53, false, sink_), AppProtocol::Dns);
  EXPECT_THAT(sink_.seen, SizeIs(3));
  EXPECT_EQ(
      inspector_.datagram(Bytes{0, 1, 'x', 0, 'o', 'c', 't', 'e', 't', 0}, 9, 69, false, sink_),
      AppProtocol::Tftp);
  EXPECT_EQ(sink_.seen.back(), "file-name plain x");
  sink_.seen.pop_back();
  EXPECT_EQ(inspector_.datagram(bytes_of("hello"), 1, 2, false, sink_), AppProtocol::None);
  EXPECT_THAT(sink_.seen, SizeIs(3));
}

} // namespace
} // namespace outguard::guest
