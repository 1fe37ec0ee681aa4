#include <gtest/gtest.h>

#include "api/answers.h"
#include "api/requests.h"

namespace outguard::api {
namespace {

const FlowTuple kFlow{6, *Endpoint::parse("10.0.0.2:4000"), *Endpoint::parse("9.9.9.9:443")};

std::vector<Request> requests() {
  Act kill{ResponseAction::Kill, "web1", 42, true, {}, {}, "why \x1b[1m \"so\"", true, {}};
  Act block{ResponseAction::BlockFlow, "web1", 0,     false, FlowRule{kFlow},
            std::chrono::hours(1),     "",     false, {}};
  block.wait = std::chrono::seconds(5);
  Act isolate{ResponseAction::Isolate, "v", 0, false, {}, std::chrono::hours(1), "", false, {}};
  isolate.rule =
      IsolationRule{std::vector(kMostAllowed, *IpNetwork::parse("2001:db8:1:2:3:4:5:6"))};
  Act port{ResponseAction::BlockPort,
           "v",
           0,
           false,
           PortRule{17, 53, RuleDirection::Both},
           {},
           "",
           false,
           {}};
  return {StatusAsked(),
          AcceptLosses(),
          kill,
          block,
          isolate,
          port,
          ListActions{7},
          ShowAction{"a-000000000001", std::chrono::seconds(1)},
          UndoAction{"a-000000000001", {}},
          ApproveAction{"a-000000000001", "ab", {}},
          CheckAllowed{"web1", 42, {}},
          CheckAllowed{"web1", 0, IpNetwork::parse("10.0.0.0/8")},
          AddAllowed{"/srv/db", "ours", "web1", std::chrono::hours(1)},
          AddAllowed{"10.0.0.0/8", "ours", "", {}},
          RemoveAllowed{"p-000000000001"},
          ListAllowed()};
}

ActionRecord whole_record() {
  ActionRecord record;
  record.id = "a-00deadbeef01";
  record.wanted = {ResponseAction::Kill,
                   "6f1c",
                   ProcessIdentity{42, 17, 0xffff'8880'0000'1000},
                   true,
                   {},
                   {},
                   "uid 0 (root)",
                   "because\n"};
  record.plan_hash = "00ff";
  record.state = ActionState::Done;
  record.status = ResponseStatus::Killed;
  record.reason = "gone";
  record.asked_ns = 1'756'000'000'000'000'017;
  record.changed_ns = record.asked_ns + 1;
  return record;
}

TEST(Requests, WhatIsWrittenIsRead) {
  for (const auto &request : requests()) {
    const auto line = request_line(request);
    EXPECT_EQ(line.find('\n'), line.npos);
    EXPECT_LT(line.size(), 16'384U); // what a server takes
    const auto read = parse_request(line);
    ASSERT_TRUE(read) << line << ": " << read.error().message;
    EXPECT_EQ(read->index(), request.index()) << line;
    EXPECT_EQ(request_line(*read), line);
  }
  const auto kill = parse_request(request_line(requests()[2]));
  EXPECT_EQ(std::get<Act>(*kill).pid, 42);
  EXPECT_TRUE(std::get<Act>(*kill).tree);
  EXPECT_TRUE(std::get<Act>(*kill).dry_run);
  const auto block = parse_request(request_line(requests()[3]));
  EXPECT_EQ(std::get<FlowRule>(*std::get<Act>(*block).rule).flow, kFlow);
  EXPECT_EQ(std::get<Act>(*block).ttl, std::chrono::hours(1));
  EXPECT_EQ(std::get<Act>(*block).wait, std::chrono::seconds(5));
}

TEST(Requests, WhatIsNotUnderstoodIsRefused) {
  const std::string act = R"({"verb":"act","action":"kill","vm":"v","pid":1)";
  ASSERT_TRUE(parse_request(act + "}"));
  for (const std::string &line :
       {std::string(),
        std::string("status"),
        std::string("{}"),
        std::string("[\"verb\"]"),
        std::string(R"({"verb":1})"),
        std::string(R"({"verb":"kill"})"),
        std::string(R"({"verb":"status","more":1})"),
        std::string(R"({"verb":"status"} {})"),
        std::string("{\"verb\":\"\xff\"}"),
        std::string("{\"verb\":\"status\"}\1"),
        act + R"(,"force":true})",
        act + R"(,"tree":1})",
        act + R"(,"ttl_s":-1})",
        act + R"(,"ttl_s":1e3})",
        act + R"(,"ttl_s":99999999999})",
        act + R"(,"wait_ms":3600000})",
        act + R"(,"rule":{"kind":"all"}})",
        act + R"(,"rule":{"kind":"remote","remote":"::/8/8"}})",
        act + R"(,"rule":{"kind":"remote","remote":"10.0.0.1/8"}})",
        act + R"(,"rule":{"kind":"remote","remote":"10.0.0.1","port":1}})",
        act + R"(,"rule":{"kind":"port","proto":"icmp","port":1,"direction":"in"}})",
        act + R"(,"rule":{"kind":"port","proto":"tcp","port":65536,"direction":"in"}})",
        act + R"(,"rule":{"kind":"port","proto":"tcp","port":0,"direction":"in"}})",
        act + R"(,"rule":{"kind":"flow","proto":"tcp","local":"10.0.0.1:1","remote":"[::1]:1"}})",
        std::string(R"({"verb":"act","action":"kill","pid":1})"),
        std::string(R"({"verb":"act","action":"burn","vm":"v","pid":1})"),
        std::string(R"({"verb":"act","action":"kill","vm":"v","pid":0})"),
        std::string(R"({"verb":"act","action":"kill","vm":"v","pid":4294967297})"),
        std::string(R"({"verb":"action-show"})"),
        std::string(R"({"verb":"action-list","most":0})"),
        std::string(R"({"verb":"action-approve","id":"a-1"})"),
        std::string(R"({"verb":"allow-add","what":"10.0.0.1"})"),
        std::string(R"({"verb":"allow-add","why":"ours"})"),
        std::string(R"({"verb":"allow-add","what":"10.0.0.1","why":"x","ttl_s":-1})"),
        std::string(R"({"verb":"allow-remove"})"),
        std::string(R"({"verb":"allow-list","vm":"web1"})")}) {
    const auto read = parse_request(line);
    ASSERT_FALSE(read) << line;
    EXPECT_EQ(read.error().code, ErrorCode::InvalidInput);
  }
  EXPECT_FALSE(parse_request(std::string(100'000, '['))); // depth is no recursion
}

TEST(Answers, WhatIsWrittenIsRead) {
  const auto record = whole_record();
  const auto line = answer_line(record);
  const auto read = parse_action(line);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(answer_line(*read), line);
  EXPECT_EQ(read->wanted.process, record.wanted.process);
  EXPECT_EQ(read->asked_ns, record.asked_ns);
  EXPECT_EQ(read->expires_ns, 0);
  EXPECT_EQ(read->state, ActionState::Done);
  EXPECT_EQ(read->status, ResponseStatus::Killed);
  auto blocked = record;
  blocked.wanted.rule = PortRule{6, 22, RuleDirection::Inbound};
  blocked.wanted.ttl = std::chrono::seconds(90);
  const ActionList list{{record, blocked}, 3};
  const auto both = parse_actions(answer_line(list));
  ASSERT_TRUE(both);
  EXPECT_EQ(answer_line(*both), answer_line(list));
  EXPECT_EQ(both->actions[1].wanted.ttl, std::chrono::seconds(90));
  const AllowAnswer answer{false, "its name is protected: sshd", "pid 9 sshd"};
  EXPECT_EQ(answer_line(*parse_allowed(answer_line(answer))), answer_line(answer));
  EXPECT_TRUE(parse_done(done_line()));
}

TEST(Answers, ARefusalKeepsItsCode) {
  for (const auto code : {ErrorCode::NotFound, ErrorCode::Refused, ErrorCode::Timeout}) {
    const auto line = refusal_line({code, "no \x1b[0m"});
    for (const auto &error : {parse_action(line).error(), parse_actions(line).error(),
                              parse_allowed(line).error(), parse_done(line).error()}) {
      EXPECT_EQ(error.code, code);
      EXPECT_EQ(error.message, "no \\x1b[0m");
    }
  }
  EXPECT_FALSE(refusal_in(done_line()));
}

TEST(Answers, MalformedOnesAreErrors) {
  auto other = answer_line(whole_record());
  other.insert(other.size() - 2, R"(,"more":1)");
  for (const std::string &line :
       {std::string(), std::string("{}"), std::string("[]"), done_line(), other,
        std::string(R"({"ok":true,"action":{}})"), std::string(R"({"ok":true,"action":7})")}) {
    const auto read = parse_action(line);
    ASSERT_FALSE(read) << line;
    EXPECT_EQ(read.error().code, ErrorCode::InvalidInput);
  }
}

} // namespace
} // namespace outguard::api
