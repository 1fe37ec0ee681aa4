#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/enforcement_lines.h"

namespace outguard::cli {
namespace {

using Level = store::CheckRow::Level;
using testing::HasSubstr;

api::GuardStatus guarded(api::TapStatus tap) {
  api::GuardStatus guard;
  guard.vm = "web1";
  tap.tap = "tap0";
  guard.enforcement = {std::move(tap)};
  return guard;
}

TEST(EnforcementLines, WhatIsInForceAndWhatItDropped) {
  api::TapStatus tap;
  tap.mechanism = "tc-bpf";
  tap.hook = "tcx";
  tap.at_work = true;
  tap.rules = {{"remote 10.0.0.0/8", 59}};
  tap.rules_left_out = 1'000;
  tap.dropped = {{"flow", 0}, {"remote", 1'234}};
  const auto guard = guarded(tap);
  const auto lines = enforcement_lines(guard);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0].second,
            "tap0: tc-bpf (tcx) at work: 1,001 rules; packets dropped: remote 1,234");
  EXPECT_EQ(lines[1].second, "remote 10.0.0.0/8, 59 s left");
  EXPECT_EQ(lines[2].second, "... and 1,000 more");
  const auto checks = enforcement_checks(guard);
  ASSERT_EQ(checks.size(), 1U);
  EXPECT_EQ(checks[0].level, Level::Ok);
  EXPECT_EQ(checks[0].remedy, "");
}

TEST(EnforcementLines, ALesserMechanismIsANoteThatSaysWhy) {
  api::TapStatus tap;
  tap.mechanism = "nft-netdev";
  tap.hook = "netdev";
  tap.why_not_better = "tc-bpf: no bpffs\nis mounted";
  const auto guard = guarded(tap);
  const auto lines = enforcement_lines(guard);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_THAT(lines[0].second, HasSubstr("nothing blocked; a rule would get nft-netdev (netdev)"));
  EXPECT_THAT(lines[0].second, HasSubstr("no bpffs\\x0ais")) << "escaped";
  const auto checks = enforcement_checks(guard);
  EXPECT_EQ(checks.at(0).level, Level::Note);
  EXPECT_THAT(checks.at(0).remedy, HasSubstr("mount a bpffs"));
}

TEST(EnforcementLines, NothingToBlockWithIsAProblem) {
  api::TapStatus none;
  none.why_not_better = "tc-bpf: a; nft-netdev: b; nft-bridge: c";
  const auto checks = enforcement_checks(guarded(none));
  EXPECT_EQ(checks.at(0).level, Level::Problem);
  EXPECT_THAT(checks.at(0).reason, HasSubstr("nft-bridge: c"));
  EXPECT_THAT(checks.at(0).remedy, HasSubstr("modprobe nf_tables"));
  api::TapStatus gone;
  gone.problem = "QEMU no longer holds tap tap0";
  const auto other = enforcement_checks(guarded(gone));
  EXPECT_EQ(other.at(0).level, Level::Problem);
  EXPECT_THAT(other.at(0).reason, HasSubstr("no longer holds"));
}

TEST(EnforcementLines, AnOlderSupervisorTellsNothing) {
  EXPECT_TRUE(enforcement_lines({}).empty());
  EXPECT_TRUE(enforcement_checks({}).empty());
}

} // namespace
} // namespace outguard::cli
