#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/protocols/dns.h"
#include "guest/protocols/protocol_test_builder.h"
#include "guest/protocols/recording_test_sink.h"
#include "guest/testing/message_builder.h"

namespace outguard::guest {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class DnsTest : public testing::Test {
protected:
  DnsLook look(const Bytes &message, DnsStrictness strictness = DnsStrictness::OwnPort,
               DnsNames names = DnsNames::OfQueries) {
    sink_.seen.clear();
    return look_at_dns(message, strictness, names, scratch_, sink_);
  }
  RecordingSink sink_;
  std::string scratch_;
};

TEST_F(DnsTest, QueryNameIsLowerCaseWithoutFinalDot) {
  EXPECT_EQ(look(dns_query("WWW.Example.COM")), DnsLook::Message);
  EXPECT_THAT(sink_.seen, ElementsAre("dns-name name www.example.com"));
  EXPECT_EQ(look(dns_query("www.example.com"), DnsStrictness::AnyPort), DnsLook::Message);
  EXPECT_THAT(sink_.seen, ElementsAre("dns-name name www.example.com"));
}

TEST_F(DnsTest, AnswersRepeatTheQuestionOnlyWhenTheQueryWasNotSeen) {
  const auto answer = dns_answer("a.example", "192.0.2.1");
  EXPECT_EQ(look(answer), DnsLook::Message);
  EXPECT_THAT(sink_.seen, ElementsAre("dns-answer-address address 192.0.2.1"));
  EXPECT_EQ(look(answer, DnsStrictness::AnyPort, DnsNames::OfQueriesAndAnswers), DnsLook::Message);
  EXPECT_THAT(sink_.seen,
              ElementsAre("dns-name name a.example", "dns-answer-address address 192.0.2.1"));
}

TEST_F(DnsTest, AnswersOfEveryKind) {
  EXPECT_EQ(look(dns_all_answers()), DnsLook::Message);
  EXPECT_THAT(
      sink_.seen,
      ElementsAre("dns-answer-name name edge.www.example", "dns-answer-address address 192.0.2.1",
                  "dns-answer-address address 2001:db8::1", "dns-answer-name name ns.example",
                  "dns-answer-name name ptr.example", "dns-answer-name name mx.example",
                  "dns-answer-name name srv.example", "dns-answer-name name dname.example",
                  "dns-answer-name name svc.example", "dns-answer-address address 192.0.2.3",
                  "dns-answer-address address 192.0.2.4",
                  "dns-answer-address address 2001:db8::6"));
  EXPECT_EQ(sink_.blind, static_cast<std::uint8_t>(Blindness::EncryptedHello));
}

TEST_F(DnsTest, CutAnswersTellWhatIsThere) {
  const auto whole = dns_all_answers();
  (void)look(whole);
  const auto all = sink_.seen;
  std::size_t told = 0;
  for (std::size_t size = 30; size <= whole.size(); ++size) {
    (void)look(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    ASSERT_GE(sink_.seen.size(), told) << size;
    told = sink_.seen.size();
    ASSERT_TRUE(std::equal(sink_.seen.begin(), sink_.seen.end(), all.begin())) << size;
  }
  EXPECT_EQ(told, all.size());
}

TEST_F(DnsTest, WrongAnswersSayNothing) {
  const Bytes address{192, 0, 2, 1};
  const Bytes self_pointer = Bytes{0xc0, 41}; // at its own place
  for (const auto &record :
       {dns_record(1, {1, 2, 3}), dns_record(28, address), dns_record(1, address, 3),
        dns_record(5, self_pointer), dns_record(5, {3, 'a'}), dns_record(15, {0}),
        dns_record(33, Bytes(5, 0)), dns_record(65, {}), dns_record(5, {0})}) {
    EXPECT_EQ(look(dns_response("www.example", record, 1)), DnsLook::Message);
    EXPECT_THAT(sink_.seen, IsEmpty());
  }
  auto query = dns_response("www.example", dns_record(1, address), 1);
  query[2] = 1; // not an answer
  EXPECT_EQ(look(query), DnsLook::Message);
  EXPECT_THAT(sink_.seen, ElementsAre("dns-name name www.example"));
}

TEST_F(DnsTest, MulticastAnswersHaveOwnersAndNoQuestion) {
  auto message = dns_query("");
  message.resize(12);
  message[2] = 0x84;
  message[5] = 0;
  message[7] = 1;
  message = message + dns_labels("Printer.local") + number(1, 2) + number(0x8001, 2) +
            number(120, 4) + number(4, 2) + Bytes{192, 0, 2, 5};
  EXPECT_EQ(look(message), DnsLook::Message);
  EXPECT_THAT(sink_.seen, ElementsAre("dns-answer-name name printer.local",
                                      "dns-answer-address address 192.0.2.5"));
}

TEST_F(DnsTest, AnswersAreBounded) {
  Bytes records;
  for (int i = 0; i < 1000; ++i) {
    records = records + dns_record(1, {10, 0, 0, 1});
  }
  EXPECT_EQ(look(dns_response("a.example", records, 1000)), DnsLook::Message);
  EXPECT_EQ(sink_.seen.size(), 128U);
  EXPECT_TRUE(sink_.passed_over());
}

TEST_F(DnsTest, WhatIsPassedOverIsSaid) {
  const auto record = dns_record(1, {10, 0, 0, 1});
  const auto text = dns_record(16, {1, 'x'});
  const auto answer = [](const Bytes &one, std::uint16_t count) {
    Bytes records;
    for (int i = 0; i < count; ++i) {
      records = std::move(records) + one;
    }
    return dns_response("a.example", records, count);
  };
  auto many_questions = dns_query("a.example");
  many_questions[5] = 33;
  for (int i = 0; i < 33; ++i) {
    many_questions = std::move(many_questions) + Bytes{1, 'b', 0, 0, 1, 0, 1};
  }
  for (const auto &[message, passed_over] :
       {std::pair{answer(record, 128), false}, std::pair{answer(record, 129), true},
        std::pair{answer(text, 512), false}, std::pair{answer(text, 513), true},
        std::pair{dns_query("a.example"), false}, std::pair{many_questions, true}}) {
    sink_ = RecordingSink();
    EXPECT_EQ(look(message), DnsLook::Message);
    EXPECT_EQ(sink_.passed_over(), passed_over) << message.size();
  }
}

TEST_F(DnsTest, ServicesAreOfTwoTypes) {
  for (const auto type : {std::uint16_t{64}, std::uint16_t{65}}) {
    EXPECT_EQ(look(dns_response("a.example", dns_record(type, {0, 1, 1, 's', 0}), 1)),
              DnsLook::Message);
    EXPECT_THAT(sink_.seen, ElementsAre("dns-answer-name name s"));
  }
}

TEST_F(DnsTest, OneRecordIsBoundedToo) {
  const auto hints = [](int parameters, std::size_t addresses) {
    Bytes service{0, 1, 0}; // priority, the root
    for (int i = 0; i < parameters; ++i) {
      service =
          std::move(service) + number(4, 2) + number(4 * addresses, 2) + Bytes(4 * addresses, 10);
    }
    return dns_response("a.example", dns_record(65, service), 1);
  };
  Bytes aliases;
  for (int i = 0; i < 129; ++i) {
    aliases = std::move(aliases) + dns_record(5, {1, 'b', 0});
  }
  for (const auto &[message, told] : {std::pair{hints(1, 130), 128U}, std::pair{hints(33, 1), 32U},
                                      std::pair{dns_response("a.example", aliases, 129), 128U}}) {
    sink_ = RecordingSink();
    EXPECT_EQ(look(message), DnsLook::Message);
    EXPECT_EQ(sink_.seen.size(), told);
    EXPECT_TRUE(sink_.passed_over());
  }
  sink_ = RecordingSink();
  EXPECT_EQ(look(hints(32, 4)), DnsLook::Message);
  EXPECT_EQ(sink_.seen.size(), 128U);
  EXPECT_FALSE(sink_.passed_over());
}

TEST_F(DnsTest, OddLabelsAreEscaped) {
  EXPECT_EQ(look(dns_query(std::string("a\0\xff\\b.example", 13))), DnsLook::Message);
  EXPECT_THAT(sink_.seen, ElementsAre("dns-name odd a\\000\\255\\\\b.example"));
  auto dotted = dns_query("aXb.example"); // a dot within a label
  dotted[14] = '.';
  EXPECT_EQ(look(dotted), DnsLook::Message);
  EXPECT_THAT(sink_.seen, ElementsAre("dns-name odd a\\.b.example"));
}

TEST_F(DnsTest, RootIsNoName) {
  EXPECT_EQ(look(dns_query("")), DnsLook::Message);
  EXPECT_THAT(sink_.seen, IsEmpty());
}

TEST_F(DnsTest, SeveralQuestionsWithPointers) {
  auto message = dns_query("a.example");
  message[5] = 2;
  const Bytes second{1, 'b', 0xc0, 14, 0, 1, 0, 1}; // b + ".example" of the first question
  message.insert(message.end(), second.begin(), second.end());
  EXPECT_EQ(look(message), DnsLook::Message);
  EXPECT_THAT(sink_.seen, ElementsAre("dns-name name a.example", "dns-name name b.example"));
}

TEST_F(DnsTest, PointersLeadBackwardsOrNowhere) {
  for (const auto target : Bytes{12, 13, 40, 255, 0}) {
    auto message = dns_query("");
    message.resize(12);
    message[0] = 1; // with the flags behind it a name, if the header held any
    message[1] = 'x';
    message[2] = 0;
    const Bytes question{0xc0, target, 0, 1, 0, 1}; // the name starts at 12 itself
    message.insert(message.end(), question.begin(), question.end());
    EXPECT_EQ(look(message), DnsLook::NotDns) << int{target};
    EXPECT_THAT(sink_.seen, IsEmpty());
  }
}

TEST_F(DnsTest, NamesHaveAtMost255Bytes) {
  const std::string label(49, 'a');
  const std::string longest = label + '.' + label + '.' + label + '.' + label + '.' + label;
  EXPECT_EQ(look(dns_query(longest)), DnsLook::Message); // 5 * 50 + 1 bytes
  EXPECT_EQ(look(dns_query(longest + ".bbb")), DnsLook::Message);
  EXPECT_EQ(look(dns_query(longest + ".bbbb")), DnsLook::NotDns);
}

TEST_F(DnsTest, CutQuestionIsToldAndNotGuessed) {
  auto message = dns_query("www.example.com");
  message.resize(20);
  EXPECT_EQ(look(message), DnsLook::Truncated);
  EXPECT_THAT(sink_.seen, IsEmpty());
  message.resize(11);
  EXPECT_EQ(look(message), DnsLook::NotDns);
}

TEST_F(DnsTest, OnOtherPortsOnlyWhatIsPlausible) {
  const auto strict = [&](const Bytes &message) { return look(message, DnsStrictness::AnyPort); };
  auto trailing = dns_query("a.example");
  trailing.push_back(0);
  auto opcode = dns_query("a.example");
  opcode[2] = 0x28;
  auto two = dns_query("a.example");
  two[5] = 2;
  auto clazz = dns_query("a.example");
  clazz.back() = 77;
  for (const auto &message :
       {trailing, opcode, two, clazz, dns_query("a b.example"), dns_query("")}) {
    EXPECT_EQ(strict(message), DnsLook::NotDns);
    EXPECT_THAT(sink_.seen, IsEmpty());
    EXPECT_NE(look(message), DnsLook::NotDns); // but port 53 speaks nothing else
  }
}

} // namespace
} // namespace outguard::guest
