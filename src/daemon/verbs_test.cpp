#include <atomic>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>

#include "daemon/verbs.h"
#include "respond/protections.h"

namespace outguard::daemon {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

/// Keeps records in memory; what is asked is done at once, or stays Acting.
class FakeDesk : public ActionDesk {
public:
  ActionState next = ActionState::Done;
  std::vector<ActionRecord> records; ///< newest first
  std::atomic<int> waits = 0;

  std::vector<Result<ActionRecord>> ask_together(std::vector<ActionAsked> asked,
                                                 const Told &) override {
    std::vector<Result<ActionRecord>> answers;
    for (auto &one : asked) {
      EXPECT_EQ(one.rule, ApprovalRule::Auto);
      ActionRecord record;
      record.id = "a-" + std::to_string(records.size());
      record.wanted = std::move(one.wanted);
      record.state = next;
      record.status = one.dry_run ? ResponseStatus::DryRun : ResponseStatus::Done;
      records.insert(records.begin(), record);
      answers.emplace_back(record);
    }
    return answers;
  }
  Result<ActionRecord> approve(const std::string &id, const std::string &plan_hash,
                               const std::string &actor) override {
    return plan_hash == "good" ? step(id, ActionState::Done, actor)
                               : fail(ErrorCode::Refused, "another plan");
  }
  Result<ActionRecord> undo(const std::string &id, const std::string &actor) override {
    return step(id, ActionState::Undone, actor);
  }
  Result<ActionRecord> wait(const std::string &id, milliseconds time) override {
    ++waits;
    std::this_thread::sleep_for(std::min(time, milliseconds(1)));
    return *find(id);
  }
  [[nodiscard]] std::vector<ActionRecord> list() const override { return records; }
  [[nodiscard]] std::optional<ActionRecord> find(const std::string &id) const override {
    for (const auto &record : records) {
      if (record.id == id) {
        return record;
      }
    }
    return std::nullopt;
  }
  void take_vm(const std::string &) override {}
  void close_breakers() override {}
  Result<Protection> allow(Protection entry, std::chrono::seconds ttl) override {
    entry.id = "p-" + std::to_string(allowed_->all().size());
    entry.added_ns = wall_now().time_since_epoch().count();
    entry.expires_ns =
        ttl.count() == 0 ? 0 : entry.added_ns + std::chrono::nanoseconds(ttl).count();
    allowed_->add(entry);
    return entry;
  }
  Result<Protection> disallow(const std::string &id, const std::string &actor) override {
    for (auto entry : allowed_->all()) {
      if (entry.id == id) {
        allowed_->remove(id);
        entry.removed = true;
        entry.actor = actor;
        return entry;
      }
    }
    return fail(ErrorCode::NotFound, "no such entry");
  }
  [[nodiscard]] std::shared_ptr<const respond::Protections> protections() const override {
    return allowed_;
  }

private:
  std::shared_ptr<respond::Protections> allowed_ = std::make_shared<respond::Protections>();

  Result<ActionRecord> step(const std::string &id, ActionState state, const std::string &actor) {
    for (auto &record : records) {
      if (record.id == id) {
        record.state = state;
        record.wanted.actor = actor;
        return record;
      }
    }
    return fail(ErrorCode::NotFound, "no such action");
  }
};

class FakeHands : public ActionHands {
public:
  Result<void> allow(const ActionWanted &wanted) override {
    return wanted.process && wanted.process->pid == 1 ? fail(ErrorCode::Refused, "pid 1")
                                                      : Result<void>();
  }
  ResponseDone act(const ActionWanted &, bool) override { return {}; }
  Result<void> undo(const ActionWanted &) override { return {}; }
  Result<bool> holds(const ActionWanted &) override { return true; }
};

class VerbsTest : public testing::Test {
protected:
  Verbs verbs(ActionDesk *desk) {
    Verbs::Parts parts;
    parts.desk = desk;
    parts.no_desk = "the journal is damaged";
    parts.find_vm = [](const std::string &target) -> Result<VmAsked> {
      if (target != "web1") {
        return fail(ErrorCode::NotFound, "no such VM");
      }
      return VmAsked{"uuid-1", std::make_shared<FakeHands>(),
                     [](std::int32_t pid) -> Result<ProcessSeen> {
                       if (pid > 100) {
                         return fail(ErrorCode::NotFound, "no such process");
                       }
                       ProcessSeen seen;
                       seen.identity = {pid, 17, 18};
                       return seen;
                     }};
    };
    parts.accept_losses = [this] { ++accepted_; };
    parts.always_allowed = {*IpNetwork::parse("10.0.0.53")};
    parts.configured = {*parse_protection("sshd")};
    parts.configured.front().actor = "built in";
    return Verbs(std::move(parts));
  }
  std::string say(const api::Request &request) {
    return verbs(&desk_).answer(request, {0, 1234}, gone_.get_token());
  }
  static api::Act act(ResponseAction action, std::int32_t pid = 0) {
    api::Act act;
    act.action = action;
    act.vm = "web1";
    act.pid = pid;
    return act;
  }
  ErrorCode refusal_of(const api::Request &request) {
    const auto refused = api::refusal_in(say(request));
    EXPECT_TRUE(refused);
    return refused ? refused->code : ErrorCode::SystemFailed;
  }

  FakeDesk desk_;
  std::stop_source gone_;
  int accepted_ = 0;
};

TEST_F(VerbsTest, WhatIsProtectedIsAddedListedAndTakenAway) {
  const auto listed = [&] { return *api::parse_protections(say(api::ListAllowed())); };
  ASSERT_EQ(listed().size(), 1U) << "what the configuration protects";
  EXPECT_EQ(listed().front().actor, "built in");
  const auto added = api::parse_protection_answer(
      say(api::AddAllowed{"198.51.100.0/24", "our mirror", "web1", std::chrono::hours(1)}));
  ASSERT_TRUE(added) << added.error().message;
  EXPECT_EQ(added->remote, IpNetwork::parse("198.51.100.0/24"));
  EXPECT_EQ(added->vm, "uuid-1") << "found here and not by the client";
  EXPECT_EQ(added->actor, "uid 0 (root)");
  EXPECT_EQ(added->why, "our mirror");
  EXPECT_EQ(added->expires_ns - added->added_ns, std::chrono::nanoseconds(3600s).count());
  ASSERT_EQ(listed().size(), 2U);
  EXPECT_EQ(listed().front(), *added);
  const auto removed = api::parse_protection_answer(say(api::RemoveAllowed{added->id}));
  ASSERT_TRUE(removed);
  EXPECT_TRUE(removed->removed);
  EXPECT_EQ(listed().size(), 1U);
  EXPECT_EQ(refusal_of(api::RemoveAllowed{added->id}), ErrorCode::NotFound);
  EXPECT_EQ(refusal_of(api::AddAllowed{"10.0.0.1", "x", "web9", {}}), ErrorCode::NotFound);
  EXPECT_EQ(refusal_of(api::AddAllowed{"0.0.0.0/0", "x", "", {}}), ErrorCode::InvalidInput);
}

TEST_F(VerbsTest, WhoAndWhatIsFoundHereAndNotByTheClient) {
  auto kill = act(ResponseAction::Kill, 42);
  kill.why = "because";
  const auto record = api::parse_action(say(kill));
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(record->wanted.process, (ProcessIdentity{42, 17, 18}));
  EXPECT_EQ(record->wanted.vm, "uuid-1");
  EXPECT_EQ(record->wanted.actor, "uid 0 (root)");
  EXPECT_EQ(record->wanted.why, "because");
  EXPECT_EQ(refusal_of(act(ResponseAction::Kill, 101)), ErrorCode::NotFound);
  auto other = kill;
  other.vm = "web2";
  EXPECT_EQ(refusal_of(other), ErrorCode::NotFound);
}

TEST_F(VerbsTest, WhatDoesNotBelongTogetherIsRefused) {
  auto with_rule = act(ResponseAction::Kill, 42);
  with_rule.rule = RemoteRule{};
  auto tree = act(ResponseAction::Suspend, 42);
  tree.tree = true;
  auto for_ever = act(ResponseAction::BlockRemote);
  for_ever.rule = RemoteRule{};
  auto another = act(ResponseAction::BlockPort);
  another.rule = RemoteRule{};
  another.ttl = std::chrono::hours(1);
  for (const auto &wrong : {act(ResponseAction::Kill), act(ResponseAction::PauseVm, 42),
                            act(ResponseAction::Isolate), with_rule, tree, for_ever, another}) {
    EXPECT_EQ(refusal_of(wrong), ErrorCode::InvalidInput);
  }
  EXPECT_EQ(refusal_of(act(ResponseAction::Reset)), ErrorCode::InvalidInput);
  EXPECT_TRUE(desk_.records.empty());
}

TEST_F(VerbsTest, AnIsolationLetsProtectedNetworksThrough) {
  auto isolate = act(ResponseAction::Isolate);
  isolate.rule = IsolationRule{{*IpNetwork::parse("10.0.0.99")}};
  isolate.ttl = std::chrono::hours(1);
  const auto record = api::parse_action(say(isolate));
  ASSERT_TRUE(record);
  EXPECT_EQ(to_string(*record->wanted.rule), "all but 10.0.0.53, 10.0.0.99");
}

TEST_F(VerbsTest, OnlyWhatWasOurDoingIsEnded) {
  EXPECT_EQ(refusal_of(act(ResponseAction::UnpauseVm)), ErrorCode::NotFound);
  EXPECT_EQ(refusal_of(act(ResponseAction::Release)), ErrorCode::NotFound);
  auto dry = act(ResponseAction::PauseVm);
  dry.dry_run = true;
  ASSERT_TRUE(api::parse_action(say(dry)));
  EXPECT_EQ(refusal_of(act(ResponseAction::UnpauseVm)), ErrorCode::NotFound);
  const auto paused = api::parse_action(say(act(ResponseAction::PauseVm)));
  ASSERT_TRUE(paused);
  auto would = act(ResponseAction::UnpauseVm);
  would.dry_run = true;
  EXPECT_EQ(api::parse_action(say(would))->state, ActionState::Done);
  const auto ended = api::parse_action(say(act(ResponseAction::UnpauseVm)));
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->id, paused->id);
  EXPECT_EQ(ended->state, ActionState::Undone);
  EXPECT_EQ(refusal_of(act(ResponseAction::UnpauseVm)), ErrorCode::NotFound);
}

TEST_F(VerbsTest, ResumeUndoesOurSuspensionOrIsAnActionOfItsOwn) {
  const auto suspended = api::parse_action(say(act(ResponseAction::Suspend, 42)));
  ASSERT_TRUE(suspended);
  const auto other = api::parse_action(say(act(ResponseAction::Resume, 43)));
  ASSERT_TRUE(other);
  EXPECT_NE(other->id, suspended->id);
  const auto ended = api::parse_action(say(act(ResponseAction::Resume, 42)));
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->id, suspended->id);
  EXPECT_EQ(ended->state, ActionState::Undone);
}

TEST_F(VerbsTest, WaitsUntilTheEndOrTimeIsUpOrItsClientIsGone) {
  desk_.next = ActionState::Acting;
  auto kill = act(ResponseAction::Kill, 42);
  EXPECT_EQ(api::parse_action(say(kill))->state, ActionState::Acting);
  EXPECT_EQ(desk_.waits, 0);
  kill.wait = milliseconds(50);
  EXPECT_EQ(api::parse_action(say(kill))->state, ActionState::Acting);
  EXPECT_GT(desk_.waits, 0);
  kill.wait = api::kLongestWait;
  std::jthread leaving([this] {
    std::this_thread::sleep_for(milliseconds(20));
    gone_.request_stop();
  });
  EXPECT_EQ(api::parse_action(say(kill))->state, ActionState::Acting);
  const auto known = desk_.records.size();
  leaving.join();
  EXPECT_EQ(refusal_of(kill), ErrorCode::Timeout); // it left before anything was begun
  EXPECT_EQ(desk_.records.size(), known);
}

TEST_F(VerbsTest, RecordsAreShownUndoneAndApproved) {
  for (int i = 1; i <= 5; ++i) {
    ASSERT_TRUE(api::parse_action(say(act(ResponseAction::Kill, i))));
  }
  const auto list = api::parse_actions(say(api::ListActions{2}));
  ASSERT_TRUE(list);
  EXPECT_EQ(list->actions.size(), 2U);
  EXPECT_EQ(list->left_out, 3);
  EXPECT_EQ(list->actions[0].wanted.process->pid, 5);
  EXPECT_EQ(api::parse_action(say(api::ShowAction{"a-0", {}}))->wanted.process->pid, 1);
  EXPECT_EQ(refusal_of(api::ShowAction{"a-9", {}}), ErrorCode::NotFound);
  EXPECT_EQ(refusal_of(api::UndoAction{"a-9", {}}), ErrorCode::NotFound);
  EXPECT_EQ(api::parse_action(say(api::UndoAction{"a-0", {}}))->state, ActionState::Undone);
  EXPECT_EQ(refusal_of(api::ApproveAction{"a-1", "bad", {}}), ErrorCode::Refused);
  EXPECT_TRUE(api::parse_action(say(api::ApproveAction{"a-1", "good", {}})));
}

TEST_F(VerbsTest, WhatAGuardWouldSay) {
  const auto no = api::parse_allowed(say(api::CheckAllowed{"web1", 1, {}}));
  ASSERT_TRUE(no);
  EXPECT_FALSE(no->allowed);
  EXPECT_EQ(no->reason, "pid 1");
  EXPECT_TRUE(api::parse_allowed(say(api::CheckAllowed{"web1", 2, {}}))->allowed);
  EXPECT_TRUE(api::parse_allowed(say(api::CheckAllowed{"web1", 0, IpNetwork::parse("10.0.0.0/8")}))
                  ->allowed);
  EXPECT_EQ(refusal_of(api::CheckAllowed{"web1", 0, {}}), ErrorCode::InvalidInput);
  EXPECT_EQ(refusal_of(api::CheckAllowed{"web1", 101, {}}), ErrorCode::NotFound);
}

TEST_F(VerbsTest, WithoutAJournalNothingIsDone) {
  const auto line = verbs(nullptr).answer(act(ResponseAction::Kill, 42), {0, 1}, {});
  EXPECT_EQ(api::refusal_in(line)->message, "the journal is damaged");
  EXPECT_TRUE(api::parse_done(verbs(nullptr).answer(api::AcceptLosses(), {0, 1}, {})));
  EXPECT_EQ(accepted_, 1);
}

} // namespace
} // namespace outguard::daemon
