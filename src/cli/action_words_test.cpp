#include <gtest/gtest.h>

#include "cli/action_words.h"

namespace outguard::cli {
namespace {

TEST(ActionWords, WhatToBlock) {
  const auto said = [](const std::vector<std::string> &words) {
    const auto rule = parse_block(words);
    return rule ? to_string(*rule) : "no";
  };
  EXPECT_EQ(said({"flow", "tcp", "10.0.0.2:4000", "9.9.9.9:443"}),
            "tcp 10.0.0.2:4000 <-> 9.9.9.9:443");
  EXPECT_EQ(said({"flow", "udp", "[fe80::1]:1", "[fe80::2]:2"}), "udp [fe80::1]:1 <-> [fe80::2]:2");
  EXPECT_EQ(said({"remote", "9.9.9.9"}), "remote 9.9.9.9");
  EXPECT_EQ(said({"remote", "10.0.0.0/8"}), "remote 10.0.0.0/8");
  EXPECT_EQ(said({"port", "in", "tcp", "22"}), "in tcp port 22");
  EXPECT_EQ(said({"port", "both", "udp", "53"}), "both udp port 53");
  const std::vector<std::vector<std::string>> wrong{{},
                                                    {"flow"},
                                                    {"all"},
                                                    {"flow", "icmp", "10.0.0.2:0", "9.9.9.9:0"},
                                                    {"flow", "tcp", "10.0.0.2:4000", "[::1]:443"},
                                                    {"flow", "tcp", "10.0.0.2", "9.9.9.9:443"},
                                                    {"remote", "10.0.0.1/8"},
                                                    {"remote", "name.example"},
                                                    {"remote", "10.0.0.1", "10.0.0.2"},
                                                    {"port", "tcp", "22"},
                                                    {"port", "in", "tcp", "0"},
                                                    {"port", "in", "tcp", "65536"},
                                                    {"port", "in", "tcp", "22x"}};
  for (const auto &words : wrong) {
    EXPECT_EQ(said(words), "no") << (words.empty() ? "" : words.back());
  }
}

TEST(ActionWords, HowLong) {
  EXPECT_EQ(parse_time_to_live("90s"), std::chrono::seconds(90));
  EXPECT_EQ(parse_time_to_live("30d"), std::chrono::hours(30 * 24));
  for (const char *wrong : {"", "1", "h", "0s", "-1s", "31d", "4294967296s", "1.5h", "1h "}) {
    EXPECT_FALSE(parse_time_to_live(wrong)) << wrong;
  }
}

TEST(ActionWords, ExceptionsAreSortedAndEachOnce) {
  const auto rule = parse_isolation({"10.0.0.2", "10.0.0.1", "10.0.0.2"});
  ASSERT_TRUE(rule);
  EXPECT_EQ(to_string(NetworkRule(*rule)), "all but 10.0.0.1, 10.0.0.2");
  EXPECT_FALSE(parse_isolation({"10.0.0.1", "x"}));
  EXPECT_FALSE(parse_isolation(std::vector<std::string>(1, "10.0.0.1/8")));
}

ActionRecord record_of(ActionState state, ResponseStatus status) {
  ActionRecord record;
  record.id = "a-1";
  record.plan_hash = "ff";
  record.state = state;
  record.status = status;
  record.reason = "so\x1b";
  record.wanted.process = ProcessIdentity{42, 1, 1};
  return record;
}

TEST(ActionWords, ExitCodesAreTheContracts) {
  const auto code = [](ActionState state, ResponseStatus status, AskedFor asked = AskedFor::Act) {
    return static_cast<int>(verdict_on(record_of(state, status), asked).code);
  };
  EXPECT_EQ(code(ActionState::Done, ResponseStatus::Killed), 0);
  EXPECT_EQ(code(ActionState::Done, ResponseStatus::DryRun), 0);
  EXPECT_EQ(code(ActionState::Done, ResponseStatus::Pending), 8);
  EXPECT_EQ(code(ActionState::Acting, ResponseStatus::Pending), 8);
  EXPECT_EQ(code(ActionState::Failed, ResponseStatus::Failed), 1);
  EXPECT_EQ(code(ActionState::Refused, ResponseStatus::Refused), 5);
  EXPECT_EQ(code(ActionState::Waiting, ResponseStatus::Waiting), 7);
  EXPECT_EQ(code(ActionState::Undone, ResponseStatus::Undone, AskedFor::Undo), 0);
  EXPECT_EQ(code(ActionState::Done, ResponseStatus::Blocked, AskedFor::Undo), 1);
  EXPECT_EQ(
      verdict_on(record_of(ActionState::Waiting, ResponseStatus::Waiting), AskedFor::Act).words,
      "waits for approval; approve with: outguard action approve a-1 ff");
}

TEST(ActionWords, OneActionInLines) {
  const auto told = [](const ActionRecord &record, const std::string &name) {
    for (const auto &[key, value] : action_lines(record)) {
      if (key == name) {
        return value;
      }
    }
    return std::string("-");
  };
  auto record = record_of(ActionState::Done, ResponseStatus::Killed);
  EXPECT_EQ(told(record, "what"), "kill pid 42");
  EXPECT_EQ(told(record, "state"), "done: killed");
  EXPECT_EQ(told(record, "reason"), "so\\x1b");
  EXPECT_EQ(told(record, "undo"), "-"); // a kill stays
  record.wanted = {
      ResponseAction::BlockPort, "vm",           {}, false, PortRule{6, 22, RuleDirection::Inbound},
      std::chrono::hours(1),     "uid 0 (root)", ""};
  record.status = ResponseStatus::Blocked;
  record.expires_ns = 1'756'000'000'000'000'000;
  EXPECT_EQ(told(record, "what"), "block in tcp port 22");
  EXPECT_EQ(told(record, "until"), "2025-08-24 01:46:40 UTC");
  EXPECT_EQ(told(record, "undo"), "outguard action undo a-1");
  record.state = ActionState::Waiting;
  EXPECT_EQ(told(record, "approve"), "outguard action approve a-1 ff");
}

} // namespace
} // namespace outguard::cli
