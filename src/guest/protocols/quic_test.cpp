#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/protocols/quic.h"
#include "guest/protocols/quic_test_builder.h"
#include "guest/protocols/recording_test_sink.h"

namespace outguard::guest {
namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::SizeIs;

constexpr auto kUnreadable = static_cast<std::uint8_t>(Blindness::Unreadable);

Bytes hello(std::string_view name, std::size_t padding = 0) {
  return message(1, hello_body({.ciphers = {0x1301, 0x1302},
                                .extensions = {{std::uint16_t{51}, Bytes(padding, 7)},
                                               sni(name),
                                               alpn({"h3"}),
                                               versions({0x0304})}}));
}

class QuicTest : public testing::Test {
protected:
  QuicLook look(const Bytes &bytes, std::uint64_t flow = 1, bool from_initiator = true,
                std::uint16_t port = 4433) {
    return inspector_.look({bytes, flow, from_initiator, port}, scratch_, sink_);
  }
  QuicInspector inspector_;
  HelloScratch scratch_;
  RecordingSink sink_;
};

TEST_F(QuicTest, OnePacketOfEitherVersion) {
  const auto whole = hello("a.example");
  for (const auto version : {kQuicVersion1, kQuicVersion2}) {
    sink_.seen.clear();
    EXPECT_EQ(look(quic_initial({.version = version}, crypto_frame(whole, 0, whole.size()))),
              QuicLook::Done);
    ASSERT_THAT(sink_.seen, SizeIs(4));
    EXPECT_EQ(sink_.seen[0], "tls-sni name a.example");
    EXPECT_EQ(sink_.seen[1], "tls-alpn plain h3");
    EXPECT_EQ(sink_.seen[3].substr(0, 24), "tls-ja4 plain q13d0204h3");
  }
  EXPECT_EQ(sink_.blind, 0);
  EXPECT_EQ(inspector_.counts().hellos, 2U);
}

TEST_F(QuicTest, ShuffledOverFramesPacketsAndDatagrams) {
  const auto whole = hello("scattered.example", 1700);
  const auto size = whole.size();
  const Bytes ping{1};
  const Bytes ack{2, 5, 0, 1, 0, 1, 1};
  const auto first = ping + crypto_frame(whole, 1000, 1100) + Bytes(30, 0) +
                     crypto_frame(whole, 0, 60) + ack + crypto_frame(whole, 500, 1000);
  const auto second = crypto_frame(whole, 1600, size) + crypto_frame(whole, 60, 510);
  const auto third = crypto_frame(whole, 1090, 1600);
  EXPECT_EQ(look(quic_initial({.packet_number = 1}, second)), QuicLook::More);
  EXPECT_EQ(look(quic_initial({.packet_number = 0}, first)), QuicLook::More);
  EXPECT_EQ(look(quic_initial({.packet_number = 0}, first)), QuicLook::More); // again
  EXPECT_THAT(sink_.seen, IsEmpty());
  // Another flow in between, whole, does not disturb.
  const auto other = hello("other.example");
  EXPECT_EQ(look(quic_initial({}, crypto_frame(other, 0, other.size())), 2), QuicLook::Done);
  // The third behind another packet, under the server's connection id by now.
  const Bytes zero_rtt =
      Bytes{0xd0} + number(kQuicVersion1, 4) + Bytes{1, 7, 0} + quic_number(30) + Bytes(30, 9);
  const auto last = quic_initial(
      {.destination_id = {7, 7, 7}, .packet_number = 2, .keys_of = InitialParts{}.destination_id},
      third);
  EXPECT_EQ(look(zero_rtt + last), QuicLook::Done);
  EXPECT_EQ(sink_.seen[4], "tls-sni name scattered.example");
  EXPECT_EQ(sink_.blind, 0);
  EXPECT_EQ(inspector_.counts().hellos, 2U);
}

TEST_F(QuicTest, CoalescedInitialPackets) {
  const auto whole = hello("two.example");
  const auto one = quic_initial({.least = 0}, crypto_frame(whole, 30, whole.size()));
  const auto two = quic_initial({.packet_number = 1}, crypto_frame(whole, 0, 30));
  EXPECT_EQ(look(one + two + Bytes(20, 0)), QuicLook::Done);
  EXPECT_THAT(sink_.seen, Contains("tls-sni name two.example"));
}

TEST_F(QuicTest, FillersHideNothing) {
  const auto whole = hello("behind.example");
  const auto crypto = crypto_frame(whole, 0, whole.size());
  EXPECT_EQ(look(quic_initial({}, Bytes(2000, 1) + crypto)), QuicLook::Done);
  EXPECT_THAT(sink_.seen, Contains("tls-sni name behind.example"));
  sink_ = RecordingSink();
  const Bytes handshake = Bytes{0xe0, 0, 0, 0, 1, 1, 7, 1, 7, 1, 0};
  Bytes datagram;
  for (int i = 0; i < 20; ++i) {
    datagram = std::move(datagram) + handshake;
  }
  EXPECT_EQ(look(datagram + quic_initial({}, crypto)), QuicLook::Done);
  EXPECT_THAT(sink_.seen, Contains("tls-sni name behind.example"));
  EXPECT_EQ(sink_.blind, 0);

  Bytes acknowledgments;
  for (int i = 0; i < 1100; ++i) {
    acknowledgments = std::move(acknowledgments) + Bytes{2, 0, 0, 0, 0};
  }
  EXPECT_EQ(look(quic_initial({}, acknowledgments + crypto)), QuicLook::Done);
  EXPECT_EQ(sink_.blind, kUnreadable); // too many to read, and told so
}

TEST_F(QuicTest, SkippedPacketNumbersHideNothing) { // two bytes of each are written
  const auto whole = hello("skips.example");
  EXPECT_EQ(look(quic_initial({.packet_number = 0xff00}, crypto_frame(whole, 0, 20))),
            QuicLook::More);
  EXPECT_EQ(look(quic_initial({.packet_number = 0x1ff01}, crypto_frame(whole, 20, 40))),
            QuicLook::More); // too far from the last one: nobody can open it
  EXPECT_EQ(look(quic_initial({.packet_number = 0x10001}, crypto_frame(whole, 20, 40))),
            QuicLook::More);
  EXPECT_EQ(look(quic_initial({.packet_number = 0xffff}, crypto_frame(whole, 40, whole.size()))),
            QuicLook::Done);
  EXPECT_THAT(sink_.seen, Contains("tls-sni name skips.example"));
  EXPECT_EQ(inspector_.counts().unopened, 1U);
}

TEST_F(QuicTest, ARetryBeginsAnew) {
  const auto whole = hello("retried.example", 1500);
  EXPECT_EQ(look(quic_initial({}, crypto_frame(whole, 0, 1000))), QuicLook::More);
  const Bytes retry =
      Bytes{0xf0} + number(kQuicVersion1, 4) + Bytes{2, 9, 9, 2, 5, 5} + Bytes(30, 1);
  EXPECT_EQ(look(retry, 1, false), QuicLook::More);
  const InitialParts again{.destination_id = {5, 5}, .token = Bytes(14, 1), .packet_number = 1};
  EXPECT_EQ(look(quic_initial(again, crypto_frame(whole, 900, whole.size()))), QuicLook::More);
  EXPECT_THAT(sink_.seen, IsEmpty());
  EXPECT_EQ(look(quic_initial(again, crypto_frame(whole, 0, 900))), QuicLook::Done);
  EXPECT_THAT(sink_.seen, Contains("tls-sni name retried.example"));
  EXPECT_EQ(sink_.blind, 0);
}

TEST_F(QuicTest, WhatCannotBeOpenedIsSaid) {
  const auto whole = hello("hidden.example");
  const auto frames = crypto_frame(whole, 0, whole.size());
  EXPECT_EQ(look(quic_initial({.keys_of = Bytes{1}}, frames), 1, false), QuicLook::More);
  EXPECT_EQ(sink_.blind, 0); // a server's
  EXPECT_EQ(look(quic_initial({.keys_of = Bytes{1}}, frames)), QuicLook::More);
  EXPECT_EQ(sink_.blind, kUnreadable);
  EXPECT_THAT(sink_.seen, IsEmpty());
  EXPECT_EQ(inspector_.counts().unopened, 2U);
  sink_ = RecordingSink();
  EXPECT_EQ(look(quic_initial({}, crypto_frame(whole, 0, 20)), 2), QuicLook::More);
  EXPECT_EQ(sink_.blind, 0);
  EXPECT_EQ(look(quic_initial({.keys_of = Bytes{1}}, frames), 2), QuicLook::More);
  EXPECT_EQ(sink_.blind, kUnreadable); // also when one that opens came before
}

TEST_F(QuicTest, UnknownVersions) {
  const auto first = [](std::uint32_t version) {
    return Bytes{0xc0} + number(version, 4) + counted(Bytes(8, 1), 1) + Bytes(1200, 5);
  };
  EXPECT_EQ(look(first(0x1a2a3a4a)), QuicLook::More); // only a try
  EXPECT_EQ(look(first(0)), QuicLook::NotQuic);       // clients negotiate nothing
  EXPECT_EQ(look(first(0), 1, false), QuicLook::More);
  EXPECT_EQ(look(first(0x12345678)), QuicLook::NotQuic); // anything could begin like that
  EXPECT_EQ(sink_.blind, 0);
  EXPECT_EQ(look(first(0xff000016), 1, false), QuicLook::More);
  EXPECT_EQ(sink_.blind, 0);
  EXPECT_EQ(look(first(0xff000016)), QuicLook::More);
  EXPECT_EQ(sink_.blind, kUnreadable);
  sink_.blind = 0;
  EXPECT_EQ(look(first(0x12345678), 2, true, 443), QuicLook::More);
  EXPECT_EQ(sink_.blind, kUnreadable);
  EXPECT_EQ(look(Bytes{0x40, 1, 2, 3}), QuicLook::NotQuic);
  EXPECT_EQ(look({}), QuicLook::NotQuic);
}

TEST_F(QuicTest, DnsOverQuicAndEncryptedHello) {
  const auto ech =
      message(1, hello_body({.ciphers = {0x1301},
                             .extensions = {{std::uint16_t{0xfe0d}, Bytes(8, 1)}, alpn({"doq"})}}));
  EXPECT_EQ(look(quic_initial({}, crypto_frame(ech, 0, ech.size()))), QuicLook::Done);
  EXPECT_EQ(sink_.blind, static_cast<std::uint8_t>(Blindness::EncryptedHello) |
                             static_cast<std::uint8_t>(Blindness::DnsOverTls));
}

TEST_F(QuicTest, HellosThatNeverEndAreGivenUp) {
  EXPECT_EQ(look(quic_initial({}, crypto_frame(0, Bytes{1, 0x01, 0, 0}))), QuicLook::Done);
  EXPECT_EQ(look(quic_initial({}, crypto_frame(0, Bytes{2, 0, 0, 4}))), QuicLook::Done);
  EXPECT_EQ(look(quic_initial({}, crypto_frame(0x3fff, Bytes(8, 1)))), QuicLook::Done);
  EXPECT_EQ(inspector_.counts().gave_up, 3U);
  EXPECT_EQ(sink_.blind, kUnreadable);
  int datagrams = 0;
  while (look(quic_initial({}, crypto_frame(8, Bytes{1})), 9) == QuicLook::More) {
    ASSERT_LT(++datagrams, 40);
  }
  EXPECT_EQ(datagrams, 32);
}

TEST_F(QuicTest, TheLongestUnusedFlowGivesWay) {
  const auto whole = hello("waits.example", 1500);
  const auto begin = quic_initial({}, crypto_frame(whole, 0, 1000));
  const auto end = quic_initial({}, crypto_frame(whole, 1000, whole.size()));
  for (std::uint64_t flow = 1; flow <= QuicInspector::kMostFlows; ++flow) {
    EXPECT_EQ(look(begin, flow), QuicLook::More);
  }
  EXPECT_EQ(look(begin, 1), QuicLook::More); // used again
  EXPECT_EQ(look(begin, 500), QuicLook::More);
  EXPECT_EQ(inspector_.counts().evicted, 1U);
  EXPECT_EQ(look(end, 2), QuicLook::More);    // was evicted
  EXPECT_EQ(inspector_.counts().evicted, 2U); // and 3 by it
  EXPECT_EQ(look(end, 1), QuicLook::Done);
  EXPECT_EQ(look(end, 500), QuicLook::Done);
  EXPECT_EQ(look(end, 4), QuicLook::Done);
  EXPECT_EQ(inspector_.counts().hellos, 3U);
}

} // namespace
} // namespace outguard::guest
