#pragma once
// Records for the journal's tests, its fuzzer and the bench: one of every kind of rule.

#include <string>
#include <vector>

#include <fmt/format.h>

#include "facts/action.h"
#include "store/sha256_text.h"

namespace outguard::store {

inline ActionRecord made_record(unsigned number, ActionState state = ActionState::Asked) {
  ActionRecord record;
  record.id = fmt::format("a-{:012x}", number);
  record.wanted.vm = "11111111-2222-3333-4444-555555555555";
  record.wanted.actor = "policy 7";
  record.wanted.why = "tcp 10.0.0.2:4000 -> 9.9.9.9:443, \"\x1b[2J\xd0\xbc\"";
  record.state = state;
  record.reason = "of a test";
  record.asked_ns = 1'800'000'000'123'456'789;
  record.changed_ns = record.asked_ns + number;
  const auto remote = *IpNetwork::parse("9.9.9.0/24");
  switch (number % 5) {
  case 0:
    record.wanted.action = ResponseAction::Kill;
    record.wanted.process = ProcessIdentity{42, 1'000'000'007, 0xffff'8880'1234'5678};
    record.wanted.tree = true;
    break;
  case 1:
    record.wanted.action = ResponseAction::BlockFlow;
    record.wanted.rule =
        FlowRule{{6, *Endpoint::parse("[fe80::1]:4000"), *Endpoint::parse("[2001:db8::2]:443")}};
    break;
  case 2:
    record.wanted.action = ResponseAction::BlockRemote;
    record.wanted.rule = RemoteRule{remote};
    break;
  case 3:
    record.wanted.action = ResponseAction::BlockPort;
    record.wanted.rule = PortRule{17, 53, RuleDirection::Outbound};
    break;
  default:
    record.wanted.action = ResponseAction::Isolate;
    record.wanted.rule = IsolationRule{{remote, *IpNetwork::parse("10.0.0.1")}};
  }
  if (record.wanted.rule) {
    record.wanted.ttl = std::chrono::seconds(60 + number);
    record.expires_ns = record.asked_ns + 60'000'000'000;
  }
  record.plan_hash = plan_hash(record.wanted);
  return record;
}

inline bool same(const ActionRecord &one, const ActionRecord &other) {
  return one.id == other.id && one.wanted.action == other.wanted.action &&
         one.wanted.vm == other.wanted.vm && one.wanted.process == other.wanted.process &&
         one.wanted.tree == other.wanted.tree && one.wanted.rule == other.wanted.rule &&
         one.wanted.ttl == other.wanted.ttl && one.wanted.actor == other.wanted.actor &&
         one.wanted.why == other.wanted.why && one.plan_hash == other.plan_hash &&
         one.state == other.state && one.status == other.status && one.reason == other.reason &&
         one.asked_ns == other.asked_ns && one.changed_ns == other.changed_ns &&
         one.expires_ns == other.expires_ns;
}

} // namespace outguard::store
