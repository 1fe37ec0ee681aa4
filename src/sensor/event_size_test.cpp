#include <gtest/gtest.h>

#include "sensor/event_size.h"

namespace outguard::sensor {
namespace {

GuestText text(std::size_t bytes) {
  return GuestText(std::string(bytes, 'x'));
}

/// As long in every text as a guest can make it.
ProcessSeen long_process(std::int32_t pid) {
  ProcessSeen seen;
  seen.identity.pid = pid;
  seen.comm = text(15);
  seen.exe = text(4096);
  seen.cmdline.emplace(1024, text(15));
  seen.credentials.emplace();
  seen.namespaces = {1, 2, 3, 4, 5, 6, 7, 8};
  seen.cgroup = text(4096);
  seen.container = text(255);
  seen.unit = text(255);
  return seen;
}

MatchSeen match_of(std::int32_t holders) {
  MatchSeen match;
  for (std::int32_t pid = 1; pid <= holders; ++pid) {
    match.attribution.processes.push_back(long_process(pid));
  }
  return match;
}

std::size_t bytes_of(MatchSeen match) {
  return encode(ReportEnvelope{0, std::move(match)}).size();
}

TEST(EventSize, WhatFitsStaysWhole) {
  MatchSeen match = match_of(1);
  fit_into_event(match.attribution);
  EXPECT_TRUE(match.attribution.processes[0].cmdline);
  EXPECT_TRUE(match.attribution.processes[0].cgroup);
  EXPECT_FALSE(match.attribution.ambiguous);
}

TEST(EventSize, OtherHoldersGiveTheirTextsFirst) {
  MatchSeen match = match_of(3);
  fit_into_event(match.attribution);
  EXPECT_TRUE(match.attribution.processes[0].cmdline);
  EXPECT_FALSE(match.attribution.processes[1].unit);
  EXPECT_EQ(match.attribution.processes.size(), 3U);
  EXPECT_FALSE(match.attribution.ambiguous);
}

TEST(EventSize, NoGuestMakesAnEventTooLong) {
  for (const std::int32_t holders : {16, 63, 64, 65, 5000}) {
    MatchSeen match = match_of(holders);
    match.indicator.observed_value = text(8192);
    match.attribution.processes[0].earlier_exe = text(4096);
    match.attribution.ancestors.resize(100, {1, text(15)});
    fit_into_event(match.attribution);
    EXPECT_LE(bytes_of(match), kMaxEventBytes) << holders;
    EXPECT_TRUE(match.attribution.processes[0].exe) << holders;
    EXPECT_EQ(match.attribution.ambiguous, holders > 64);
    EXPECT_TRUE(match.attribution.ancestors_cut);
  }
}

TEST(EventSize, AnAnswerOfManyProcessesWithLongNamesFitsAMessage) {
  OwnerFound found;
  found.attribution = match_of(32).attribution;
  ASSERT_GT(encode(ReportEnvelope{1, found}).size(), kMaxMessageBytes);
  fit_into_event(found.attribution);
  EXPECT_LE(encode(ReportEnvelope{1, found}).size(), kMaxMessageBytes);
  EXPECT_EQ(found.attribution.processes.size(), 32U);
}

} // namespace
} // namespace outguard::sensor
