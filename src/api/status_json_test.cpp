#include <gtest/gtest.h>

#include "api/answers.h"
#include "api/status_json.h"

namespace outguard::api {
namespace {

const WallTime kNow = WallTime(std::chrono::seconds(1'756'000'000)) + std::chrono::nanoseconds(17);

SupervisorStatus whole_status() {
  SupervisorStatus status;
  status.pid = 4711;
  status.mode = "monitor";
  status.started = kNow;
  auto &intel = status.intelligence;
  intel.version = 3;
  intel.indicators = 1'024'331;
  intel.since = kNow;
  intel.types = {{"address", 1'000'000}, {"domain", 24'331}};
  intel.sources = {{"lists/a.txt", 10, 1, "", kNow}, {"b", 0, 0, "empty file", {}}};
  intel.changes = {"/var/lib/outguard/intel", 2, 1, kNow, ""};
  intel.short_of = {"b: 1 of 5 entries left (shrunken)"};
  FeedStatus feed;
  feed.name = "partner";
  feed.failures = 4;
  feed.failing_since = kNow;
  feed.problem = "HTTP 403";
  intel.feeds = {feed};
  GuardStatus guard;
  guard.vm = "web1";
  guard.taps = {"tap0", "tap1"};
  guard.sensor = true;
  guard.packets_dropped = {{"malformed", 7}};
  TapStatus tap;
  tap.tap = "tap0";
  tap.mechanism = "tc-bpf";
  tap.hook = "tcx";
  tap.at_work = true;
  tap.rules = {{"remote 10.0.0.0/8", 59}};
  tap.rules_left_out = 3;
  tap.dropped = {{"remote", 12}};
  guard.enforcement = {tap};
  status.guards = {guard};
  status.actions = {"/var/lib/outguard/actions", "damaged"};
  status.policies = {2, kNow, kNow, "web1.yaml:2:1: unknown key"};
  return status;
}

TEST(StatusJson, WhatIsWrittenIsRead) {
  const auto status = whole_status();
  const auto line = answer_line(status);
  EXPECT_EQ(line.find('\n'), line.npos);
  const auto read = parse_status(line);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(answer_line(*read), line);
  EXPECT_EQ(read->started, kNow);
  EXPECT_EQ(read->intelligence.types.at(1).name, "domain");
  EXPECT_EQ(read->intelligence.feeds.at(0).failures, 4U);
  EXPECT_EQ(read->intelligence.sources.at(1).changed, std::nullopt);
  EXPECT_TRUE(read->guards.at(0).sensor);
  EXPECT_EQ(read->guards.at(0).packets_dropped.at(0).value, 7U);
  const auto &tap = read->guards.at(0).enforcement.at(0);
  EXPECT_EQ(tap.rules.at(0).rule, "remote 10.0.0.0/8");
  EXPECT_EQ(tap.rules.at(0).seconds_left, 59U);
  EXPECT_TRUE(tap.at_work);
  EXPECT_EQ(tap.dropped.at(0).value, 12U);
  EXPECT_EQ(read->actions.problem, "damaged");
  EXPECT_EQ(read->policies.files, 2U);
  EXPECT_EQ(read->policies.problem, "web1.yaml:2:1: unknown key");
}

TEST(StatusJson, NamesOfGuestsAreEscaped) {
  SupervisorStatus status;
  status.guards.emplace_back().vm = "a\"b\n\x1b[31m\xff";
  const auto line = answer_line(status);
  for (const char c : line) {
    EXPECT_GE(c, ' ');
    EXPECT_LT(c, 0x7f);
  }
  EXPECT_TRUE(parse_status(line));
}

TEST(StatusJson, AnOlderSupervisorLacksMembers) {
  const auto read = parse_status(R"({"ok":true,"status":{"pid":5,"newer":[1]}})");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->pid, 5);
  EXPECT_EQ(read->started, std::nullopt);
}

TEST(StatusJson, MalformedAnswersAreErrors) {
  for (const std::string line :
       {"",
        "{",
        "[]",
        "null",
        "{}",
        R"({"ok":1})",
        R"({"ok":true})",
        R"({"ok":true,"status":[]})",
        R"({"ok":true,"status":{"pid":"5"}})",
        R"({"ok":true,"status":{"started":7}})",
        R"({"ok":true,"status":{"started":"2026-13-01T00:00:00.000000000Z"}})",
        R"({"ok":true,"status":{"started":"2026-11-01T00:00:00.000000000Z "}})",
        R"({"ok":true,"status":{"guards":{}}})",
        R"({"ok":true,"status":{"guards":[5]}})",
        R"({"ok":true,"status":{"intelligence":{"indicators":-1}}})",
        R"({"ok":true,"status":{"intelligence":{"indicators":1.5}}})",
        R"({"ok":true,"status":{"intelligence":{"types":{"a":"b"}}}})",
        R"({"ok":true,"status":{"guards":[{"sensor":1}]}})",
        R"({"ok":true,"status":{"guards":[{"enforcement":{}}]}})",
        R"({"ok":true,"status":{"guards":[{"enforcement":[{"at_work":1}]}]}})",
        R"({"ok":true,"status":{"guards":[{"enforcement":[{"rules":[{"seconds_left":-1}]}]}]}})",
        R"({"ok":true,"status":{"actions":[]}})"}) {
    const auto read = parse_status(line);
    ASSERT_FALSE(read) << line;
    EXPECT_EQ(read.error().code, ErrorCode::InvalidInput) << line;
  }
  const auto refused = parse_status(refusal_line({ErrorCode::Refused, "no\nsuch"}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "the supervisor refused: no\\x0asuch");
}

} // namespace
} // namespace outguard::api
