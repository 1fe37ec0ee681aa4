#include <random>

#include <gtest/gtest.h>

#include "base/printable.h"
#include "facts/guest_text.h"
#include "facts/messages.h"

namespace outguard {
namespace {

TEST(GuestText, EscapesWhatCouldHarmATerminal) {
  EXPECT_EQ(GuestText("plain -x=1").printable(), "plain -x=1");
  EXPECT_EQ(GuestText("\x1b[31mred").printable(), "\\x1b[31mred");
  EXPECT_EQ(GuestText("a\nb\tc\x7f").printable(), "a\\x0ab\\x09c\\x7f");
  EXPECT_EQ(GuestText("back\\slash").printable(), "back\\x5cslash");
  EXPECT_EQ(GuestText("\xc3\xa9").printable(), "\xc3\xa9");
  EXPECT_EQ(GuestText("\xff\xc3").printable(), "\\xff\\xc3");
  EXPECT_EQ(GuestText("\xc0\x80").printable(), "\\xc0\\x80");          // overlong
  EXPECT_EQ(GuestText("\xed\xa0\x80").printable(), "\\xed\\xa0\\x80"); // surrogate
  EXPECT_EQ(GuestText("\xe2\x80\xae").printable(), "\\xe2\\x80\\xae"); // right-to-left override
  EXPECT_EQ(GuestText("\xc2\x9b").printable(), "\\xc2\\x9b");          // C1 control
}

ReportEnvelope sample_report() {
  MatchSeen match;
  match.flow.tuple = {6, {*IpAddress::parse("10.0.0.2"), 4242}, {*IpAddress::parse("::1"), 443}};
  match.flow.interface = "tap0";
  match.flow.vlans = {10, 20};
  match.flow.tunnels = {TunnelKind::Mpls, TunnelKind::Teredo};
  match.flow.carrier = {17, {*IpAddress::parse("10.0.0.2"), 1}, {*IpAddress::parse("::2"), 3544}};
  match.indicator.value = GuestText("bad.example");
  ProcessSeen process;
  process.identity = {123, 456, 789};
  process.comm = GuestText(std::string("a\0b", 3));
  process.cmdline = {GuestText("x"), GuestText("")};
  process.credentials.emplace().uid = 1000;
  match.attribution.processes = {process};
  match.attribution.ancestors = {{1, GuestText("init")}};
  match.attribution.ancestors_cut = true;
  return {7, match};
}

TEST(Messages, RoundTrip) {
  const auto bytes = encode(sample_report());
  const auto back = decode_report(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->id, 7U);
  EXPECT_EQ(encode(*back), bytes);
  const auto &match = std::get<MatchSeen>(back->body);
  EXPECT_EQ(match.attribution.processes.at(0).comm.raw(), std::string_view("a\0b", 3));
  EXPECT_EQ(match.flow.tuple.remote.to_string(), "[::1]:443");
  EXPECT_EQ(match.flow.tunnels.at(1), TunnelKind::Teredo);
  EXPECT_EQ(match.flow.carrier.value().remote.to_string(), "[::2]:3544");

  const RequestEnvelope request{3, PlanKill{{1, 2, 3}}};
  const auto request_back = decode_request(encode(request));
  ASSERT_TRUE(request_back);
  EXPECT_EQ(std::get<PlanKill>(request_back->body).process.start_boottime_ns, 2U);
}

TEST(Messages, ASignalPlanComesBackWhole) {
  const PlanSignal asked{{1, 2, 3}, GuestSignal::Stop};
  const auto request = decode_request(encode(RequestEnvelope{3, asked}));
  ASSERT_TRUE(request);
  EXPECT_EQ(std::get<PlanSignal>(request->body).signal, GuestSignal::Stop);

  const SignalPlan plan{{1, 2, 3}, GuestSignal::Stop, {{9, 4, 1, 1, 0, 0}}, 4, 5, 6, 7, 8, 9};
  const auto report = decode_report(encode(ReportEnvelope{3, SignalPlanMade{plan}}));
  ASSERT_TRUE(report);
  const auto &back = std::get<SignalPlanMade>(report->body).plan;
  EXPECT_EQ(back.identity.at(0).address, 9U);
  EXPECT_EQ(back.kernel_end, 9U);
}

TEST(Messages, EveryCutIsRefused) {
  const auto bytes = encode(sample_report());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(decode_report(std::span(bytes).first(length))) << length;
  }
  auto longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(decode_report(longer));
}

TEST(GuestText, WhatWasEscapedIsPrintable) {
  for (const char *text : {"a\\b", "\x1b[2J", "\xff", "plain", "\xe2\x80\xae"}) {
    EXPECT_TRUE(is_printable(GuestText(text).printable())) << text;
  }
  EXPECT_TRUE(is_printable("a\\b"));
  EXPECT_FALSE(is_printable("a\nb"));
}

TEST(Messages, PlainStringsOfASensorMustBePrintable) {
  EXPECT_TRUE(decode_report(encode(ReportEnvelope{1, Failed{"memory not mapped at 0x10"}})));
  EXPECT_FALSE(decode_report(encode(ReportEnvelope{1, Failed{"\x1b]0;owned\x07"}})));
  EXPECT_FALSE(decode_report(encode(ReportEnvelope{1, Failed{"two\nlines"}})));
  LookedUp hostile; // guest text may hold anything: it is escaped where it is shown
  hostile.hits.emplace_back().value = GuestText("\x1b[2J");
  EXPECT_TRUE(decode_report(encode(ReportEnvelope{1, hostile})));
  // What goes down to a sensor is ours: register dumps have line ends.
  EXPECT_TRUE(
      decode_request(encode(RequestEnvelope{1, AttachMemory{{}, {}, "CR0=1\nCR3=2\n", false}})));
}

TEST(Messages, LyingLengthsAreRefusedWithoutAllocating) {
  // id, type 3 (ProcessRows), then a row count of 2^32 - 1.
  const std::vector<std::uint8_t> bytes{0, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff, 1};
  EXPECT_FALSE(decode_report(bytes));
  const std::vector<std::uint8_t> unknown_type{0, 0, 0, 0, 200};
  EXPECT_FALSE(decode_report(unknown_type));
}

} // namespace
} // namespace outguard
