#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/protocols/inspector.h"
#include "guest/protocols/recording_test_sink.h"
#include "guest/testing/message_builder.h"

namespace outguard::guest {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

Bytes operator+(Bytes a, const Bytes &b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class InspectorTest : public testing::Test {
protected:
  StreamProgress stream(const Bytes &bytes) {
    return inspector_.stream(state_, bytes, server_, sink_);
  }
  Inspector inspector_;
  StreamState state_;
  Endpoint server_ = endpoint("192.0.2.7:443");
  RecordingSink sink_;
};

TEST_F(InspectorTest, PipelinedRequests) {
  const auto all = http_request("a.example", "/1", "POST", "xyz") + http_request("a.example", "/2");
  const auto progress = stream(all);
  EXPECT_EQ(progress.consumed, all.size());
  EXPECT_FALSE(progress.done);
  EXPECT_EQ(state_.protocol, AppProtocol::Http);
  EXPECT_THAT(sink_.seen, SizeIs(4));
  EXPECT_EQ(sink_.seen.back(), "http-url name http://a.example/2");
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
  EXPECT_EQ(sink_.seen.back(), "tls-sni name inner.example");
  state_ = {};
  EXPECT_FALSE(stream(bytes_of("EHLO me\r\n")).done);
  EXPECT_FALSE(stream(bytes_of("STARTTLS\r\n")).done);
  EXPECT_TRUE(stream(client_hello({.server_name = "mail.example"})).done);
  EXPECT_EQ(sink_.seen.back(), "tls-sni name mail.example");
}

TEST_F(InspectorTest, AnAlertBeforeTheHelloHidesNothing) {
  EXPECT_TRUE(stream(Bytes{21, 3, 1, 0, 2, 1, 0} + Bytes{22, 3, 1, 0, 0} +
                     client_hello({.server_name = "c2.example"}))
                  .done);
  EXPECT_THAT(sink_.seen, ElementsAre("tls-sni name c2.example"));
}

TEST_F(InspectorTest, ChunkedBodyDoesNotHideTheNextRequest) {
  const auto post = bytes_of("POST / HTTP/1.1\r\nContent-Length: 100000\r\n"
                             "Transfer-Encoding: chunked\r\nHost: a.example\r\n\r\n0\r\n\r\n");
  EXPECT_EQ(stream(post).skip, 0U);
  (void)stream(http_request("b.example", "/"));
  EXPECT_EQ(sink_.seen.back(), "http-url name http://b.example/");
}

TEST_F(InspectorTest, ServersAreLetGoAtOnce) {
  EXPECT_TRUE(stream(bytes_of("HTTP/1.1 200 OK\r\n")).done);
  EXPECT_EQ(state_.protocol, AppProtocol::Http);
  EXPECT_TRUE(stream(server_hello()).done);
}

TEST_F(InspectorTest, UnknownStreamsAreLetGo) {
  int looks = 0;
  while (!stream(bytes_of("SSH-2.0-client\r\n")).done) {
    ASSERT_LT(++looks, 100);
  }
  EXPECT_EQ(looks, 15);
  EXPECT_THAT(sink_.seen, IsEmpty());
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

TEST_F(InspectorTest, Datagrams) {
  const auto query = dns_query("a.example");
  EXPECT_EQ(inspector_.datagram(query, 40000, 53, false, sink_), AppProtocol::Dns);
  EXPECT_EQ(inspector_.datagram(query, 40000, 9999, false, sink_), AppProtocol::Dns);
  EXPECT_THAT(sink_.seen, SizeIs(2));
  EXPECT_EQ(inspector_.datagram(query, 137, 137, false, sink_), AppProtocol::None); // NetBIOS
  EXPECT_EQ(inspector_.datagram(query, 137, 53, false, sink_), AppProtocol::Dns);
  EXPECT_THAT(sink_.seen, SizeIs(3));
  EXPECT_EQ(inspector_.datagram(bytes_of("hello"), 1, 2, false, sink_), AppProtocol::None);
  EXPECT_THAT(sink_.seen, SizeIs(3));
}

} // namespace
} // namespace outguard::guest
