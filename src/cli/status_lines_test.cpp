#include <gtest/gtest.h>

#include "cli/status_lines.h"

namespace outguard::cli {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// 2025-08-24 12:02:00 UTC
const WallTime kNow = WallTime(seconds(1'756'036'920));

api::IntelStatus whole() {
  api::IntelStatus intel;
  intel.version = 3;
  intel.indicators = 1'024'331;
  intel.since = kNow - minutes(12);
  intel.sources.resize(7);
  for (auto &source : intel.sources) {
    source.changed = kNow - hours(30);
  }
  intel.sources[3].name = "partner";
  intel.sources[3].changed = kNow - minutes(4);
  return intel;
}

api::FeedStatus failing(const std::string &name, std::chrono::nanoseconds since) {
  api::FeedStatus feed;
  feed.name = name;
  feed.failures = 3;
  feed.failing_since = kNow - since;
  feed.last_try = kNow - minutes(1);
  feed.next_try = kNow + minutes(9);
  feed.problem = "HTTP 403 from feeds.example";
  feed.remedy = "renew its key";
  return feed;
}

TEST(StatusLines, AgesAndNumbers) {
  EXPECT_EQ(age({}, kNow), "?");
  EXPECT_EQ(age(kNow + hours(1), kNow), "0 s"); // the clock was set back
  EXPECT_EQ(age(kNow - seconds(119), kNow), "119 s");
  EXPECT_EQ(age(kNow - seconds(120), kNow), "2 min");
  EXPECT_EQ(age(kNow - minutes(119), kNow), "119 min");
  EXPECT_EQ(age(kNow - hours(47), kNow), "47 h");
  EXPECT_EQ(age(kNow - hours(48), kNow), "2 days");
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(123'456), "123,456");
  EXPECT_EQ(grouped(18'446'744'073'709'551'615U), "18,446,744,073,709,551,615");
}

TEST(StatusLines, AllAtAGlance) {
  auto intel = whole();
  EXPECT_EQ(intel_headline(intel, kNow), "1,024,331 indicators from 7 sources, newest 4 min old");
  intel.feeds = {failing("partner", hours(2))};
  intel.feeds[0].copy_of = kNow - hours(2);
  EXPECT_EQ(intel_headline(intel, kNow),
            "1,024,331 indicators from 7 sources, newest 4 min old; 1 feed failing for 2 h: HTTP "
            "403 from feeds.example, keeps the copy of 10:02 UTC (partner)");
  intel.feeds.push_back(failing("other", hours(30)));
  intel.changes.added = 2;
  EXPECT_EQ(intel_headline(intel, kNow),
            "1,024,331 indicators from 7 sources, newest 4 min old; 2 added, 0 removed by hand; 2 "
            "feeds, the longest failing for 30 h: HTTP 403 from feeds.example, and there is no "
            "earlier copy (other)");
}

TEST(StatusLines, WhatIsNotInForceIsSaidFirst) {
  api::IntelStatus intel;
  EXPECT_EQ(intel_headline(intel, kNow), "NONE: nothing is matched");
  intel.compiling = true;
  EXPECT_EQ(intel_headline(intel, kNow), "NONE YET, being compiled");
  intel = whole();
  intel.compiled = kNow - hours(1);
  intel.problem = "a.txt: 1 of 9 entries left (shrunken)";
  intel.short_of = {"b.txt: 0 of 5 entries left (gone)"};
  const auto text = intel_headline(intel, kNow);
  EXPECT_NE(text.find("; NOT REPLACED at 11:02 UTC: a.txt: 1 of 9"), text.npos) << text;
  EXPECT_NE(text.find("; SHORT of what the last run had: b.txt: 0 of 5"), text.npos) << text;
}

std::vector<std::string> problems(const api::SupervisorStatus &status) {
  std::vector<std::string> names;
  for (const auto &check : checks_of(status, kNow)) {
    if (check.level == store::CheckRow::Level::Problem) {
      EXPECT_FALSE(check.remedy.empty()) << check.what;
      names.push_back(check.what);
    }
  }
  return names;
}

TEST(StatusLines, EachProblemIsACheckWithItsRemedy) {
  using Names = std::vector<std::string>;
  api::SupervisorStatus status;
  EXPECT_EQ(problems(status), Names{"intelligence in force"});
  status.intelligence.changes.added = 1; // that is something to match
  EXPECT_EQ(problems(status), Names{});
  status.intelligence = whole();
  EXPECT_EQ(problems(status), Names{});
  status.intelligence.problem = "it could not be compiled";
  status.intelligence.remedy = "It is tried again";
  status.intelligence.short_of = {"b.txt: gone"};
  status.intelligence.changes.problem = "removed: binary data";
  status.intelligence.feeds = {failing("partner", hours(2)), api::FeedStatus()};
  auto &guard = status.guards.emplace_back();
  guard.vm = "web1";
  guard.state = "ready";
  EXPECT_EQ(problems(status), (Names{"latest lists in force", "sources as whole as in the last run",
                                     "single adds and removes", "feed partner", "guard of web1"}));
  status.guards[0].sensor = true;
  EXPECT_EQ(problems(status).size(), 4U);
}

TEST(StatusLines, ASourceThatGaveNothingIsNoted) {
  api::SupervisorStatus status;
  status.intelligence = whole();
  for (auto &source : status.intelligence.sources) {
    source.problem.clear();
  }
  const auto noted = [&] {
    std::string text;
    for (const auto &check : checks_of(status, kNow)) {
      text += check.level == store::CheckRow::Level::Note ? check.reason : "";
    }
    return text;
  };
  EXPECT_EQ(noted(), "");
  api::SourceStatus barren;
  barren.name = "c.txt";
  barren.problem = "binary data";
  status.intelligence.sources.push_back(barren);
  EXPECT_EQ(noted(), "nothing taken of 1 source, c.txt: binary data");
  status.intelligence.sources.push_back(barren);
  EXPECT_EQ(noted(), "nothing taken of 2 sources, the first c.txt: binary data");
}

TEST(StatusLines, NothingHarmsATerminal) {
  const std::string hostile = "a\x1b[2Jb\n";
  api::SupervisorStatus status;
  status.intelligence = whole();
  auto &intel = status.intelligence;
  intel.problem = intel.remedy = intel.sources[0].name = intel.sources[1].problem = hostile;
  intel.short_of = {hostile};
  intel.changes.folder = intel.changes.problem = status.mode = hostile;
  intel.types = {{hostile, 1}};
  intel.feeds = {failing(hostile, hours(1))};
  intel.feeds[0].problem = intel.feeds[0].remedy = hostile;
  auto &guard = status.guards.emplace_back();
  guard.vm = guard.state = guard.reason = hostile;
  guard.counted = kNow;
  guard.packets_dropped = guard.counters = {{hostile, 1}};
  std::string all = intel_headline(intel, kNow);
  for (const auto &[name, value] : guard_lines(status, guard, kNow)) {
    all += name + value;
  }
  for (const auto &check : checks_of(status, kNow)) {
    all += check.what + check.reason + check.remedy;
  }
  EXPECT_EQ(all.find('\x1b'), all.npos);
  EXPECT_EQ(all.find('\n'), all.npos);
}

} // namespace
} // namespace outguard::cli
