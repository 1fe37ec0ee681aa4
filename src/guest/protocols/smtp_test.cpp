#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/protocols/protocol_test_builder.h"
#include "guest/protocols/smtp.h"
#include "guest/protocols/split_test_run.h"

namespace outguard::guest {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> seen(const Bytes &all, std::size_t cut = 0) {
  return seen_when_cut(
      all, cut,
      [text = MailText::None, session = SmtpSession::NotSeen](auto bytes, auto &sink) mutable {
        std::string scratch;
        const Look look = look_at_smtp(text, session, bytes, scratch, sink);
        session = SmtpSession::Seen;
        return look;
      });
}
std::vector<std::string> seen(std::string_view text) {
  return seen(bytes_of(text));
}

TEST(Smtp, HostsOfASessionAtEveryCut) {
  const auto all = bytes_of("EHLO Me.Example\r\nmail FROM:<a@Sender.example> SIZE=9\r\n"
                            "RCPT TO:<@relay.example:b@rcpt.example>\r\nDATA\r\n"
                            "Subject: x\r\n..\r\nRCPT TO:<c@no.example>\r\n.x\r\n\r\n.\r\n"
                            "MAIL FROM: <>\r\nBDAT 24 LAST\r\nRCPT TO:<d@bdat.exampl>\n"
                            "RCPT TO: e@[IPv6:2001:DB8::1]\nRCPT TO:<f@[192.0.2.1]>\r\n");
  const auto wanted = seen(all);
  EXPECT_THAT(wanted, ElementsAre("mail-host name me.example", "mail-host name sender.example",
                                  "mail-host name rcpt.example", "mail-host address 2001:db8::1",
                                  "mail-host address 192.0.2.1"));
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    ASSERT_EQ(seen(all, cut), wanted) << cut;
  }
}

TEST(Smtp, TheTextOfAMailIsNoCommand) {
  EXPECT_THAT(seen("HELO a.example\r\nDATA\r\nx\r\nRCPT TO:<b@no.example>\r\n"),
              ElementsAre("mail-host name a.example"));
  for (const char *end : {".\r\n", ".\n"}) { // servers take both
    EXPECT_THAT(seen("HELO a.example\r\nDATA\r\n" + std::string(end) + "RCPT TO:<b@b.example>\r\n"),
                ElementsAre("mail-host name a.example", "mail-host name b.example"));
  }
}

TEST(Smtp, WhereTheTextIsRefusedCommandsGoOn) {
  const auto all = bytes_of("LHLO a.example\r\nDATA\r\nMAIL FROM:<x@b.example>\r\nDATA\r\n");
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    ASSERT_THAT(seen(all, cut), ElementsAre("mail-host name a.example", "mail-host name b.example"))
        << cut;
  }
  EXPECT_THAT(seen("LHLO a.example\r\nDATA\r\nQuit smoking\r\nRCPT TO:<x@b.example>\r\n"),
              ElementsAre("mail-host name a.example"));
}

TEST(Smtp, OtherWordsAreNotMine) {
  for (const char *text : {"DATA\r\n", "EHL\r\n", "EHLOX a\r\n", "MAIL a@b.example\r\n", "\r\n",
                           "RCPT FRO:<a@b.example>\r\n", "GET / HTTP/1.1\r\n"}) {
    EXPECT_THAT(seen(text), IsEmpty()) << text;
  }
  EXPECT_THAT(seen("EHLO " + std::string(5000, 'a') + "\r\n"), IsEmpty());
  EXPECT_THAT(seen("EHLO a\x1b.b\r\n"), ElementsAre("mail-host odd a\\027.b"));
}

} // namespace
} // namespace outguard::guest
