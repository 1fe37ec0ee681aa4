#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/protocols/http.h"
#include "guest/protocols/recording_test_sink.h"
#include "guest/testing/message_builder.h"

namespace outguard::guest {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;

class HttpTest : public testing::Test {
protected:
  HttpResult look(const Bytes &bytes) {
    return look_at_http_request(state_, bytes, receiver_, scratch_, sink_);
  }
  HttpResult look(std::string_view text) { return look(bytes_of(text)); }

  HttpHeadState state_;
  Endpoint receiver_ = endpoint("192.0.2.7:8080");
  std::string scratch_;
  RecordingSink sink_;
};

TEST_F(HttpTest, HostAndUrl) {
  const auto request = http_request("WWW.Example.com", "/Path?q=A b", "POST", "body");
  const auto result = look(request);
  EXPECT_EQ(result.look, HttpLook::HeadComplete);
  EXPECT_EQ(result.head_length, request.size() - 4);
  EXPECT_EQ(result.body_length, 4U);
  EXPECT_THAT(sink_.seen, ElementsAre("http-host name www.example.com",
                                      "http-url name http://www.example.com/Path?q=A b",
                                      "http-user-agent plain test"));
}

TEST_F(HttpTest, TheMethodIsToldToWhoAsks) {
  RecordingSink seen(ObservableKinds{ObservableKind::HttpMethod});
  HttpHeadState state;
  std::string scratch;
  for (const char *method : {"POST", "CONNECT"}) {
    state = {};
    (void)look_at_http_request(state, http_request("a.example", "/", method),
                               endpoint("192.0.2.7:80"), scratch, seen);
  }
  EXPECT_THAT(seen.seen, IsSupersetOf({"http-method plain POST", "http-method plain CONNECT"}));
}

TEST_F(HttpTest, OnlyAnotherPortStaysInTheUrl) {
  (void)look(http_request("a.example:80", "/"));
  (void)look(http_request("a.example:8080", "/"));
  state_ = {};
  (void)look(http_request("[2001:DB8::1]:81", "/x"));
  EXPECT_THAT(sink_.seen, testing::Contains("http-url name http://a.example/"));
  EXPECT_THAT(sink_.seen, testing::Contains("http-url address http://[2001:db8::1]:81/x"));
  EXPECT_THAT(sink_.seen, testing::Contains("http-host address 2001:db8::1"));
}

TEST_F(HttpTest, AbsoluteFormAndAnotherHost) {
  (void)look("GET HTTP://user@Real.Example:443 HTTP/1.1\r\nHost: front.example\r\n\r\n");
  EXPECT_THAT(sink_.seen, ElementsAre("proxy-target name real.example",
                                      "http-url name http://real.example:443/",
                                      "http-host name front.example"));
}

TEST_F(HttpTest, ConnectHasAHostAndNoUrl) {
  const auto result =
      look("CONNECT c2.example:443 HTTP/1.1\r\nContent-Length: 9\r\nHost: c2.example:443\r\n\r\n");
  EXPECT_EQ(result.body_length, 0U); // a tunnel follows
  EXPECT_THAT(sink_.seen, ElementsAre("proxy-target name c2.example", "http-host name c2.example"));
}

TEST_F(HttpTest, WithoutHostTheReceiverStandsIn) {
  EXPECT_EQ(look("GET /bin.sh HTTP/1.0\r\n\r\n").look, HttpLook::HeadComplete);
  EXPECT_THAT(sink_.seen, ElementsAre("http-host address 192.0.2.7",
                                      "http-url address http://192.0.2.7:8080/bin.sh"));
}

TEST_F(HttpTest, LenientAsServersAre) {
  (void)look("\r\n\r\nGET  /a   HTTP/1.1\nhOsT : \t b.example \n\n");
  EXPECT_THAT(sink_.seen,
              ElementsAre("http-host name b.example", "http-url name http://b.example/a"));
}

TEST_F(HttpTest, EveryHostLineCounts) {
  (void)look("GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n");
  EXPECT_EQ(sink_.seen.size(), 4U);
}

TEST_F(HttpTest, ByteByByteSaysEverythingOnceAndEarly) {
  const auto request = http_request("slow.example", "/drip");
  const std::size_t host_line_end = 24 + 20;
  for (std::size_t size = 1; size < request.size(); ++size) {
    ASSERT_EQ(
        look(Bytes(request.begin(), request.begin() + static_cast<std::ptrdiff_t>(size))).look,
        HttpLook::NeedMore)
        << size;
    if (size > host_line_end) {
      ASSERT_GE(sink_.seen.size(), 2U) << size; // before the head ends
    }
  }
  EXPECT_EQ(look(request).look, HttpLook::HeadComplete);
  EXPECT_THAT(sink_.seen,
              ElementsAre("http-host name slow.example", "http-url name http://slow.example/drip",
                          "http-user-agent plain test"));
}

TEST_F(HttpTest, AbsoluteFormByteByByteIsSaidOnce) {
  const auto request = http_request("proxy.example", "http://real.example/x");
  for (std::size_t size = 1; size <= request.size(); ++size) {
    (void)look(Bytes(request.begin(), request.begin() + static_cast<std::ptrdiff_t>(size)));
  }
  EXPECT_THAT(sink_.seen,
              ElementsAre("proxy-target name real.example", "http-url name http://real.example/x",
                          "http-host name proxy.example", "http-user-agent plain test"));
}

TEST_F(HttpTest, UserAgentIsPrintable) {
  const auto request =
      bytes_of("GET / HTTP/1.1\r\nUSER-agent:  Bot/1.0 (\x1b[x)\t\r\nHost: a.example\r\n\r\n");
  for (std::size_t size = 1; size <= request.size(); ++size) {
    (void)look(Bytes(request.begin(), request.begin() + static_cast<std::ptrdiff_t>(size)));
  }
  EXPECT_THAT(sink_.seen,
              ElementsAre("http-user-agent plain Bot/1.0 (\\027[x)", "http-host name a.example",
                          "http-url name http://a.example/"));
}

TEST_F(HttpTest, AnswersMatterWhereATunnelBegins) {
  const auto answer = [](std::string_view text) { return look_at_http_answer(bytes_of(text)); };
  const std::string opened = "HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n";
  EXPECT_EQ(answer(opened + "TLS").length, opened.size());
  EXPECT_EQ(answer("HTTP/1.1 101 Switching\n\n").outcome, Look::Outcome::Consumed);
  EXPECT_EQ(answer("HTTP/1.1 200 OK\r\n").outcome, Look::Outcome::Done);
  EXPECT_EQ(answer("HTTP/1.1 404 x\r\n").outcome, Look::Outcome::Done);
  EXPECT_EQ(answer("HTTP/1.1\r\n").outcome, Look::Outcome::Done);
  EXPECT_EQ(answer(opened.substr(0, 40)).outcome, Look::Outcome::NeedMore);
  EXPECT_EQ(answer("HTTP/1.1 2").outcome, Look::Outcome::NeedMore);
  EXPECT_EQ(answer("HTTP/1.1 101 " + std::string(200, 'x')).outcome, Look::Outcome::Done);
  EXPECT_EQ(answer("HTTP/1.1 101 x\r\n" + std::string(3000, 'x')).outcome, Look::Outcome::Done);
}

TEST_F(HttpTest, OtherProtocolsAreNotHttp) {
  for (const char *text : {"USER anonymous\r\n", "EHLO x\r\n", "GET /\r\n", "GET / FTP/1.1\r\n",
                           "\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n"}) {
    EXPECT_EQ(look(text).look, HttpLook::NotHttp) << text;
  }
  EXPECT_THAT(sink_.seen, IsEmpty());
  EXPECT_FALSE(may_be_http_request(bytes_of("SSH-2.0-x")));
  EXPECT_FALSE(may_be_http_request(bytes_of("get / HTTP/1.1")));
  EXPECT_FALSE(may_be_http_request(bytes_of(std::string(25, 'A'))));
  EXPECT_TRUE(may_be_http_request(bytes_of("G")));
  EXPECT_TRUE(may_be_http_request(bytes_of("M-SEARCH *")));
}

TEST_F(HttpTest, BodyLengthIsNotTrusted) {
  EXPECT_EQ(look("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n").body_length,
            0U);
  state_ = {};
  EXPECT_EQ(look("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n").body_length, 0U);
}

} // namespace
} // namespace outguard::guest
