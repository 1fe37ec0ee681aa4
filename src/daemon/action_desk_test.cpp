#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "daemon/action_desk.h"
#include "daemon/action_rules.h"
#include "daemon/action_workers.h"
#include "respond/protections.h"
#include "store/action_journal.h"
#include "store/faulty_file_calls.h"

namespace outguard::daemon {
namespace {

using namespace std::chrono_literals;
using enum ActionState;

constexpr const char *kVm = "11111111-2222-3333-4444-555555555555";
constexpr auto kLong = 20s;

/// Does what the test says, remembers what it was asked.
class FakeHands : public ActionHands {
public:
  Result<void> allow(const ActionWanted & /*wanted*/) override {
    const std::lock_guard lock(mutex_);
    calls.emplace_back("allow");
    return allowed;
  }
  ResponseDone act(const ActionWanted &wanted, bool dry) override {
    std::unique_lock lock(mutex_);
    calls.emplace_back(dry ? "dry" : "act");
    last_ttl = wanted.ttl;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !held || to_string(wanted.action) == unheld; });
    return {wanted.action, dry ? ResponseStatus::DryRun : status, "as told"};
  }
  Result<void> undo(const ActionWanted & /*wanted*/) override {
    const std::lock_guard lock(mutex_);
    calls.emplace_back("undo");
    return undone;
  }
  Result<bool> holds(const ActionWanted & /*wanted*/) override {
    const std::lock_guard lock(mutex_);
    calls.emplace_back("holds");
    return in_force;
  }

  void hold(bool now) {
    const std::lock_guard lock(mutex_);
    held = now;
    changed_.notify_all();
  }
  void wait_for_act() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kLong,
                      [this] { return std::count(calls.begin(), calls.end(), "act") > 0; });
  }
  /// What it was asked since the last time.
  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    return std::exchange(calls, {});
  }
  template <class T> void set(T FakeHands::*member, T value) {
    const std::lock_guard lock(mutex_);
    this->*member = std::move(value);
  }

  std::vector<std::string> calls;
  Result<void> allowed, undone;
  Result<bool> in_force = true;
  ResponseStatus status = ResponseStatus::Done;
  std::chrono::seconds last_ttl{0};
  bool held = false;
  std::string unheld; ///< an action that is done all the same

private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

using Calls = std::vector<std::string>;

ActionWanted kill_of(std::int32_t pid, const std::string &actor = "uid 0 (root)") {
  ActionWanted wanted;
  wanted.action = ResponseAction::Kill;
  wanted.vm = kVm;
  wanted.process = ProcessIdentity{pid, 1000, 0xffff};
  wanted.actor = actor;
  return wanted;
}

ActionWanted block_of(const char *remote, std::chrono::seconds ttl = 600s,
                      const std::string &actor = "uid 0 (root)") {
  ActionWanted wanted;
  wanted.action = ResponseAction::BlockRemote;
  wanted.vm = kVm;
  wanted.rule = RemoteRule{*IpNetwork::parse(remote)};
  wanted.ttl = ttl;
  wanted.actor = actor;
  return wanted;
}

ActionWanted of_vm(ResponseAction action, std::chrono::seconds ttl = 0s) {
  ActionWanted wanted;
  wanted.action = action;
  wanted.vm = kVm;
  wanted.ttl = ttl;
  wanted.actor = "uid 0 (root)";
  if (action == ResponseAction::Isolate) {
    wanted.rule = IsolationRule{};
  }
  return wanted;
}

class ActionDeskTest : public testing::Test {
protected:
  ActionDeskTest() {
    const bool fast = ::access("/dev/shm", W_OK) == 0; // many syncs
    std::string name = (fast ? "/dev/shm" : testing::TempDir()) + "/desk-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    start();
  }
  ~ActionDeskTest() override {
    hands_->hold(false);
    desk_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  void start() {
    desk_.reset();
    auto opened = ActionDesk::open(
        folder_,
        [this](const std::string &vm) -> std::shared_ptr<ActionHands> {
          return vm == kVm && guarded_ ? hands_ : nullptr;
        },
        limits_, calls_);
    ASSERT_TRUE(opened) << opened.error().message;
    desk_ = std::move(*opened);
  }
  /// As if it was killed: a copy of the journal is what the next one finds.
  void crash() {
    const auto copy = folder_ + "/copy";
    std::filesystem::copy(folder_ + "/actions.jsonl", copy);
    hands_->hold(false);
    desk_.reset();
    std::filesystem::rename(copy, folder_ + "/actions.jsonl");
    static_cast<void>(hands_->asked());
    start();
  }
  ActionRecord ask(ActionWanted wanted, ApprovalRule rule = ApprovalRule::Auto, bool dry = false) {
    auto record = desk_->ask(std::move(wanted), rule, dry);
    EXPECT_TRUE(record) << record.error().message;
    return record.value_or(ActionRecord{});
  }
  ActionRecord settled(const ActionRecord &record) {
    return desk_->wait(record.id, kLong).value_or(ActionRecord{});
  }
  ActionRecord done(ActionWanted wanted) {
    auto record = settled(ask(std::move(wanted)));
    EXPECT_EQ(record.state, Done) << record.reason;
    static_cast<void>(hands_->asked());
    return record;
  }
  /// Once it is so, or after a long time.
  ActionRecord until(const ActionRecord &record, ActionState state) {
    for (const auto end = monotonic_now() + kLong; monotonic_now() < end;
         std::this_thread::sleep_for(2ms)) {
      if (const auto now = desk_->find(record.id); now && now->state == state) {
        return *now;
      }
    }
    return *desk_->find(record.id);
  }
  /// Of the lines of one action in the journal.
  std::string steps_of(const std::string &id) {
    std::ifstream in(folder_ + "/actions.jsonl");
    std::string steps;
    for (std::string line; std::getline(in, line);) {
      if (line.find(R"("id":")" + id + R"(","step")") != std::string::npos) {
        const auto at = line.find(R"("step":")") + 8;
        steps += line.substr(at, line.find('"', at) - at) + " ";
      }
    }
    return steps;
  }

  std::string folder_;
  std::shared_ptr<FakeHands> hands_ = std::make_shared<FakeHands>();
  std::atomic<bool> guarded_ = true;
  ActionLimits limits_;
  std::shared_ptr<store::FaultyFileCalls> calls_ = std::make_shared<store::FaultyFileCalls>();
  std::unique_ptr<ActionDesk> desk_;
};

TEST_F(ActionDeskTest, ActsOnceTheGuardAllowsAndEveryStepIsJournaled) {
  const auto asked = ask(kill_of(42));
  EXPECT_EQ(asked.state, Acting);
  const auto record = settled(asked);
  EXPECT_EQ(record.state, Done);
  EXPECT_EQ(record.status, ResponseStatus::Done);
  EXPECT_EQ(record.reason, "as told");
  EXPECT_EQ(hands_->asked(), (Calls{"allow", "act"}));
  EXPECT_EQ(steps_of(record.id), "asked acting done ");
  EXPECT_EQ(desk_->list().size(), 1U);
  EXPECT_FALSE(desk_->find("a-none"));
  EXPECT_EQ(desk_->wait("a-none", 0ms).error().code, ErrorCode::NotFound);
  EXPECT_EQ(desk_->undo("a-none", "x").error().code, ErrorCode::NotFound);
  EXPECT_EQ(desk_->approve("a-none", "", "x").error().code, ErrorCode::NotFound);
}

TEST_F(ActionDeskTest, IsJournaledBeforeItIsDone) {
  hands_->hold(true);
  const auto asked = ask(kill_of(42));
  hands_->wait_for_act();
  EXPECT_EQ(steps_of(asked.id), "asked acting ");
  EXPECT_EQ(desk_->wait(asked.id, 1ms)->state, Acting);
}

TEST_F(ActionDeskTest, TheGuardsNoIsARefusal) {
  hands_->allowed = fail(ErrorCode::Refused, "sshd is protected");
  const auto refused = settled(ask(kill_of(42)));
  EXPECT_EQ(refused.state, Refused);
  EXPECT_EQ(refused.status, ResponseStatus::Refused);
  EXPECT_EQ(refused.reason, "sshd is protected");
  hands_->set<Result<void>>(&FakeHands::allowed, fail(ErrorCode::Unreachable, "no sensor"));
  EXPECT_EQ(settled(ask(kill_of(43))).state, Failed);
  EXPECT_EQ(hands_->asked(), (Calls{"allow", "allow"}));
}

TEST_F(ActionDeskTest, EveryStatusLeadsToItsState) {
  std::int32_t pid = 1;
  for (const auto &[status, state] :
       std::map<ResponseStatus, ActionState>{{ResponseStatus::Reset, Done},
                                             {ResponseStatus::Blocked, Done},
                                             {ResponseStatus::Killed, Done},
                                             {ResponseStatus::DryRun, Done},
                                             {ResponseStatus::Suspended, Done},
                                             {ResponseStatus::Undone, Done},
                                             {ResponseStatus::Refused, Refused},
                                             {ResponseStatus::Skipped, Refused},
                                             {ResponseStatus::NotPossible, Failed},
                                             {ResponseStatus::Failed, Failed},
                                             {ResponseStatus::Waiting, Failed}}) {
    hands_->set(&FakeHands::status, status);
    const auto record = settled(ask(kill_of(++pid)));
    EXPECT_EQ(record.state, state) << to_string(status);
    EXPECT_EQ(record.status, status);
  }
}

TEST_F(ActionDeskTest, ADryRunDoesAllButTheLastCall) {
  const auto record = settled(ask(block_of("9.9.9.9"), ApprovalRule::Approve, true));
  EXPECT_EQ(record.state, Done);
  EXPECT_EQ(record.status, ResponseStatus::DryRun);
  EXPECT_EQ(record.expires_ns, 0);
  EXPECT_EQ(hands_->asked(), (Calls{"allow", "dry"}));
  EXPECT_EQ(desk_->undo(record.id, "x").error().code, ErrorCode::Refused);
  EXPECT_EQ(settled(ask(block_of("9.9.9.9"))).status, ResponseStatus::Done); // no duplicate of it
  EXPECT_EQ(desk_->list().size(), 2U);
}

TEST_F(ActionDeskTest, WhatDoesNotFitTogetherIsNoAction) {
  const auto code = [&](ActionWanted wanted) {
    const auto asked = desk_->ask(std::move(wanted), ApprovalRule::Auto, false);
    return asked ? ErrorCode::NotFound : asked.error().code;
  };
  auto wanted = kill_of(42);
  wanted.process.reset();
  EXPECT_EQ(code(wanted), ErrorCode::InvalidInput);
  EXPECT_EQ(code(kill_of(0)), ErrorCode::InvalidInput);
  wanted = kill_of(42);
  wanted.process->start_boottime_ns = ~0ULL;
  EXPECT_EQ(code(wanted), ErrorCode::InvalidInput);
  wanted = kill_of(42, "");
  EXPECT_EQ(code(wanted), ErrorCode::InvalidInput);
  wanted = kill_of(42);
  wanted.vm = "";
  EXPECT_EQ(code(wanted), ErrorCode::InvalidInput);
  EXPECT_EQ(code(block_of("9.9.9.9", 0s)), ErrorCode::InvalidInput);
  EXPECT_EQ(code(block_of("9.9.9.9", -1s)), ErrorCode::InvalidInput);
  EXPECT_EQ(code(block_of("9.9.9.9", 24h * 400)), ErrorCode::InvalidInput);
  wanted = block_of("9.9.9.9");
  wanted.action = ResponseAction::BlockPort;
  EXPECT_EQ(code(wanted), ErrorCode::InvalidInput);
  wanted.action = ResponseAction::Kill;
  EXPECT_EQ(code(wanted), ErrorCode::InvalidInput);
  EXPECT_TRUE(desk_->list().empty());
}

TEST_F(ActionDeskTest, TextOfAnybodyIsKeptSafe) {
  auto wanted = kill_of(42);
  wanted.why = "\x1b[2J\xff" + std::string(5000, 'x');
  const auto record = done(wanted);
  start();
  ASSERT_EQ(desk_->list().size(), 1U);
  EXPECT_EQ(desk_->list()[0].wanted.why, record.wanted.why);
}

TEST_F(ActionDeskTest, RefusesWhatMayNeverBeDoneAndWhatNobodyGuards) {
  EXPECT_EQ(ask(kill_of(42), ApprovalRule::Never).state, Refused);
  guarded_ = false;
  const auto record = ask(kill_of(42));
  EXPECT_EQ(record.state, Refused);
  EXPECT_EQ(steps_of(record.id), "asked refused ");
  EXPECT_EQ(hands_->asked(), Calls{});
}

TEST_F(ActionDeskTest, AnApprovalIsForExactlyThisPlan) {
  const auto asked = ask(block_of("9.9.9.9"), ApprovalRule::Approve);
  EXPECT_EQ(asked.state, Waiting);
  EXPECT_EQ(ask(block_of("9.9.9.9"), ApprovalRule::Approve).id, asked.id);
  EXPECT_NE(ask(block_of("9.9.9.9", 601s), ApprovalRule::Approve).id, asked.id);
  EXPECT_EQ(desk_->approve(asked.id, std::string(64, '0'), "x").error().code, ErrorCode::Refused);
  start(); // it still waits after a restart
  const auto approved = desk_->approve(asked.id, asked.plan_hash, "uid 1 (boss)");
  ASSERT_TRUE(approved);
  EXPECT_EQ(settled(*approved).state, Done);
  EXPECT_EQ(hands_->asked(), (Calls{"allow", "act"}));
  EXPECT_EQ(steps_of(asked.id), "asked waiting approved acting done ");
  EXPECT_EQ(desk_->approve(asked.id, asked.plan_hash, "x").error().code, ErrorCode::Refused);
}

TEST_F(ActionDeskTest, AQuestionIsWithdrawnOrExpires) {
  const auto withdrawn = ask(kill_of(42), ApprovalRule::Approve);
  EXPECT_EQ(desk_->undo(withdrawn.id, "uid 0 (root)")->state, Refused);
  limits_.approval_time = 1s;
  start();
  const auto asked = ask(kill_of(43), ApprovalRule::Approve);
  EXPECT_EQ(until(asked, Expired).state, Expired);
  EXPECT_EQ(desk_->approve(asked.id, asked.plan_hash, "x").error().code, ErrorCode::Refused);
  EXPECT_EQ(hands_->asked(), Calls{});
}

TEST_F(ActionDeskTest, UndoneByHandAPolicyMayNotDoItAgainAtOnce) {
  const auto record = done(block_of("9.9.9.9", 600s, "policy 7"));
  const auto undoing = desk_->undo(record.id, "uid 0 (root)");
  ASSERT_TRUE(undoing) << undoing.error().message;
  EXPECT_EQ(undoing->state, Undoing);
  const auto undone = settled(record);
  EXPECT_EQ(undone.state, Undone);
  EXPECT_EQ(undone.status, ResponseStatus::Undone);
  EXPECT_EQ(steps_of(record.id), "asked acting done undoing undone ");
  EXPECT_EQ(desk_->undo(record.id, "x").error().code, ErrorCode::Refused);
  static_cast<void>(hands_->asked());

  const auto again = ask(block_of("9.9.9.9", 600s, "policy 7"));
  EXPECT_EQ(again.state, Refused);
  EXPECT_NE(again.reason.find("cool-down"), std::string::npos);
  EXPECT_EQ(settled(ask(block_of("8.8.8.8", 600s, "policy 7"))).state, Done);
  EXPECT_EQ(settled(ask(block_of("9.9.9.9", 600s, "uid 0 (root)"))).state, Done);
  limits_.cool_down = 0s;
  start();
  EXPECT_EQ(settled(ask(block_of("7.7.7.7", 600s, "policy 7"))).state, Done);
}

TEST_F(ActionDeskTest, AClockThatWasSetBackMakesNoCoolDownEndless) {
  const auto record = done(block_of("9.9.9.9", 600s, "policy 7"));
  ASSERT_TRUE(desk_->undo(record.id, "uid 0 (root)"));
  const auto later = [&](std::chrono::nanoseconds by) {
    auto moved = settled(record);
    desk_.reset();
    moved.changed_ns = wall_now().time_since_epoch().count() + by.count();
    const store::JournalStep step{moved, "desk"};
    ASSERT_TRUE(store::ActionJournal::open(folder_)->journal->append(std::span(&step, 1)));
    start();
  };
  later(limits_.cool_down / 2);
  EXPECT_EQ(ask(block_of("9.9.9.9", 600s, "policy 7")).state, Refused);
  later(24h * 365);
  EXPECT_EQ(settled(ask(block_of("9.9.9.9", 600s, "policy 7"))).state, Done);
}

TEST_F(ActionDeskTest, WhatEndedWhileNobodyLookedIsTakenAway) {
  auto record = done(block_of("9.9.9.9"));
  desk_.reset();
  record.expires_ns = wall_now().time_since_epoch().count() - 1;
  const store::JournalStep step{record, "desk"};
  ASSERT_TRUE(store::ActionJournal::open(folder_)->journal->append(std::span(&step, 1)));
  start();
  EXPECT_EQ(until(record, Expired).state, Expired);
  EXPECT_EQ(hands_->asked(), Calls{"undo"});
}

TEST_F(ActionDeskTest, WhatCannotBeUndoneStaysAsItIs) {
  const auto killed = done(kill_of(42));
  EXPECT_EQ(desk_->undo(killed.id, "x").error().code, ErrorCode::Unsupported);
  const auto blocked = done(block_of("9.9.9.9"));
  hands_->undone = fail(ErrorCode::SystemFailed, "no");
  ASSERT_TRUE(desk_->undo(blocked.id, "x"));
  const auto still = settled(blocked);
  EXPECT_EQ(still.state, Done);
  EXPECT_EQ(still.reason, "could not be undone: no");
  hands_->set<Result<void>>(&FakeHands::undone, fail(ErrorCode::NotFound, "the tap is gone"));
  ASSERT_TRUE(desk_->undo(blocked.id, "x"));
  EXPECT_EQ(settled(blocked).state, Undone);
}

TEST_F(ActionDeskTest, WhatTheKernelEndsIsOnlyMarked) {
  const auto record = done(block_of("9.9.9.9", 1s));
  EXPECT_GT(record.expires_ns, record.changed_ns);
  EXPECT_EQ(until(record, Expired).status, ResponseStatus::Undone);
  EXPECT_EQ(hands_->asked(), Calls{});
}

TEST_F(ActionDeskTest, APauseEndsAtItsTimeAlsoAfterARestartAndWithoutAJournal) {
  for (const bool restart : {false, true}) {
    const auto record = done(of_vm(ResponseAction::PauseVm, 1s));
    if (restart) {
      guarded_ = false;
      start();
      guarded_ = true;
    } else {
      calls_->fail_at(1, {ENOSPC}, true);
    }
    const auto ended = until(record, Expired);
    EXPECT_EQ(ended.state, Expired);
    EXPECT_EQ(hands_->asked(), Calls{"undo"});
    calls_->heal();
  }
  start(); // what the journal could not take it took later
  for (const auto &record : desk_->list()) {
    EXPECT_EQ(record.state, Expired);
  }
}

TEST_F(ActionDeskTest, APauseThatCannotBeEndedIsTriedAgain) {
  const auto record = done(of_vm(ResponseAction::PauseVm, 1s));
  hands_->set<Result<void>>(&FakeHands::undone, fail(ErrorCode::Timeout, "QEMU does not answer"));
  EXPECT_EQ(until(record, Undoing).state, Undoing);
  while (hands_->asked().empty()) {
    std::this_thread::sleep_for(5ms);
  }
  hands_->set<Result<void>>(&FakeHands::undone, {});
  start(); // rather than waiting for the next try
  EXPECT_EQ(until(record, Expired).state, Expired);
}

TEST_F(ActionDeskTest, TheSameAgainIsRenewedNotDoubled) {
  hands_->hold(true);
  const auto first = ask(block_of("9.9.9.9", 100s));
  EXPECT_EQ(ask(block_of("9.9.9.9", 100s)).id, first.id);
  hands_->hold(false);
  const auto done_once = settled(first);
  EXPECT_EQ(hands_->asked(), (Calls{"allow", "act"}));
  const auto renewed = settled(ask(block_of("9.9.9.9", 900s)));
  EXPECT_EQ(renewed.id, first.id);
  EXPECT_EQ(renewed.state, Done);
  EXPECT_GT(renewed.expires_ns, done_once.expires_ns + 700'000'000'000);
  EXPECT_NE(renewed.plan_hash, first.plan_hash);
  EXPECT_EQ(hands_->asked(), (Calls{"allow", "act"}));

  hands_->set(&FakeHands::status, ResponseStatus::Failed);
  const auto kept = settled(ask(block_of("9.9.9.9", 9000s)));
  EXPECT_EQ(kept.state, Done);
  EXPECT_EQ(kept.expires_ns, renewed.expires_ns);
  EXPECT_EQ(kept.reason, "could not be renewed: as told");
  EXPECT_EQ(desk_->list().size(), 1U);
}

TEST_F(ActionDeskTest, ApprovedAnewItTakesThePlaceOfTheOld) {
  const auto first = done(block_of("9.9.9.9"));
  const auto second = ask(block_of("9.9.9.9"), ApprovalRule::Approve);
  ASSERT_TRUE(desk_->approve(second.id, second.plan_hash, "x"));
  EXPECT_EQ(settled(second).state, Done);
  EXPECT_EQ(desk_->find(first.id)->state, Expired);
}

TEST_F(ActionDeskTest, OneActionEndsAnother) {
  const auto isolated = done(of_vm(ResponseAction::Isolate, 600s));
  const auto paused = done(of_vm(ResponseAction::PauseVm));
  auto suspend = kill_of(42);
  suspend.action = ResponseAction::Suspend;
  const auto suspended = done(suspend);
  suspend.process->pid = 43;
  const auto other = done(suspend);
  done(of_vm(ResponseAction::UnpauseVm));
  EXPECT_EQ(desk_->find(isolated.id)->state, Done);
  EXPECT_EQ(desk_->find(paused.id)->state, Undone);
  const auto release = done(of_vm(ResponseAction::Release));
  EXPECT_EQ(desk_->find(isolated.id)->state, Undone);
  EXPECT_EQ(desk_->find(isolated.id)->reason, "ended by " + release.id);
  done(kill_of(42));
  EXPECT_EQ(desk_->find(suspended.id)->state, Undone);
  EXPECT_EQ(desk_->find(other.id)->state, Done);
}

TEST_F(ActionDeskTest, WhatIsPendingIsWatched) {
  hands_->status = ResponseStatus::Pending;
  hands_->in_force = false;
  const auto record = ask(kill_of(42));
  EXPECT_EQ(desk_->wait(record.id, 50ms)->state, Acting);
  EXPECT_EQ(desk_->find(record.id)->status, ResponseStatus::Pending);
  for (Calls asked; asked.empty() || asked.back() != "holds"; std::this_thread::sleep_for(5ms)) {
    const auto more = hands_->asked();
    EXPECT_EQ(std::count(more.begin(), more.end(), "act"), asked.empty() ? 1 : 0);
    asked.insert(asked.end(), more.begin(), more.end());
  }
  hands_->set<Result<bool>>(&FakeHands::in_force, true);
  EXPECT_EQ(settled(record).status, ResponseStatus::Killed);
}

TEST_F(ActionDeskTest, TooManyAreRefusedAndTold) {
  hands_->hold(true);
  static_cast<void>(ask(kill_of(1)));
  hands_->wait_for_act();
  for (std::size_t i = 0; i < ActionWorkers::kMostWaiting; ++i) {
    ASSERT_EQ(ask(kill_of(static_cast<std::int32_t>(i + 2))).state, Acting);
  }
  const auto refused = ask(kill_of(10'000));
  EXPECT_EQ(refused.state, Refused);
  EXPECT_NE(refused.reason.find("too many"), std::string::npos);
}

TEST_F(ActionDeskTest, NothingIsApprovedThatWouldWaitBehindTooMany) {
  const auto waits = ask(kill_of(9'999), ApprovalRule::Approve);
  hands_->hold(true);
  static_cast<void>(ask(kill_of(1)));
  hands_->wait_for_act();
  for (std::size_t i = 0; i < ActionWorkers::kMostWaiting; ++i) {
    ASSERT_EQ(ask(kill_of(static_cast<std::int32_t>(i + 2))).state, Acting);
  }
  EXPECT_EQ(desk_->approve(waits.id, waits.plan_hash, "x").error().code, ErrorCode::LimitReached);
  EXPECT_EQ(desk_->find(waits.id)->state, Waiting);
}

TEST_F(ActionDeskTest, ForgetsTheOldestThatAreOverAndNoneThatIsInForce) {
  limits_.most_records = 20;
  start();
  const auto first = done(block_of("9.9.9.9"));
  const auto second = done(kill_of(1));
  for (std::int32_t pid = 2; pid < 60; ++pid) {
    done(kill_of(pid));
  }
  EXPECT_LE(desk_->list().size(), 20U);
  EXPECT_TRUE(desk_->find(first.id));
  EXPECT_FALSE(desk_->find(second.id));
  unsigned blocked = 0;
  for (unsigned i = 0; i < 30; ++i) {
    const auto record =
        desk_->ask(block_of(("10.0.0." + std::to_string(i)).c_str()), ApprovalRule::Auto, false);
    if (!record) {
      EXPECT_EQ(record.error().code, ErrorCode::LimitReached);
      break;
    }
    static_cast<void>(settled(*record));
    ++blocked;
  }
  EXPECT_EQ(blocked, 19U);
}

TEST_F(ActionDeskTest, NothingIsDoneThatCouldNotBeJournaled) {
  const auto blocked = done(block_of("9.9.9.9"));
  const auto waiting = ask(kill_of(42), ApprovalRule::Approve);
  calls_->fail_at(1, {ENOSPC}, true);
  EXPECT_FALSE(desk_->ask(kill_of(43), ApprovalRule::Auto, false));
  EXPECT_FALSE(desk_->ask(block_of("9.9.9.9"), ApprovalRule::Auto, false));
  EXPECT_FALSE(desk_->approve(waiting.id, waiting.plan_hash, "x"));
  EXPECT_FALSE(desk_->undo(waiting.id, "x"));
  EXPECT_FALSE(desk_->undo(blocked.id, "x"));
  EXPECT_EQ(desk_->find(waiting.id)->state, Waiting);
  EXPECT_EQ(desk_->find(blocked.id)->state, Done);
  EXPECT_EQ(desk_->list().size(), 2U);
  EXPECT_EQ(hands_->asked(), Calls{});
  calls_->heal();
  EXPECT_EQ(settled(ask(kill_of(43))).state, Done);
}

TEST_F(ActionDeskTest, AfterACrashWhatHoldsIsNotDoneAgain) {
  hands_->hold(true);
  const auto record = ask(kill_of(42));
  hands_->wait_for_act();
  crash();
  const auto found = settled(record);
  EXPECT_EQ(found.state, Done);
  EXPECT_EQ(found.status, ResponseStatus::Killed);
  EXPECT_EQ(hands_->asked(), Calls{"holds"});
}

TEST_F(ActionDeskTest, AfterACrashWhatDoesNotHoldIsDoneOnce) {
  hands_->hold(true);
  const auto record = ask(kill_of(42));
  hands_->wait_for_act();
  hands_->in_force = false;
  crash();
  EXPECT_EQ(settled(record).state, Done);
  EXPECT_EQ(hands_->asked(), (Calls{"holds", "allow", "act"}));
}

TEST_F(ActionDeskTest, AfterACrashItWaitsForItsVm) {
  hands_->hold(true);
  const auto record = ask(block_of("9.9.9.9"));
  const auto dry = ask(kill_of(42), ApprovalRule::Auto, true);
  hands_->wait_for_act();
  guarded_ = false;
  crash();
  EXPECT_EQ(desk_->wait(record.id, 50ms)->state, Acting);
  EXPECT_EQ(hands_->asked(), Calls{});
  guarded_ = true;
  hands_->set<Result<bool>>(&FakeHands::in_force, fail(ErrorCode::Unreachable, "not yet"));
  desk_->take_vm(kVm);
  EXPECT_EQ(desk_->wait(record.id, 50ms)->state, Acting);
  hands_->set<Result<bool>>(&FakeHands::in_force, false);
  start();
  EXPECT_EQ(settled(record).state, Done);
  EXPECT_EQ(settled(dry).state, Failed);
}

TEST_F(ActionDeskTest, AfterACrashAnUndoIsBroughtToItsEnd) {
  const auto record = done(block_of("9.9.9.9"));
  hands_->hold(true);
  static_cast<void>(ask(block_of("8.8.8.8"))); // keeps the worker
  hands_->wait_for_act();
  ASSERT_TRUE(desk_->undo(record.id, "x"));
  crash();
  EXPECT_EQ(settled(record).state, Undone);
}

TEST_F(ActionDeskTest, WhatWasNeverAcknowledgedIsNotBegun) {
  hands_->hold(true);
  const auto record = ask(kill_of(42));
  hands_->wait_for_act();
  const auto path = folder_ + "/actions.jsonl";
  crash(); // and of the two steps that one write had only the first arrived
  desk_.reset();
  std::ifstream in(path);
  std::string two;
  for (std::string line; two.find("asked") == std::string::npos && std::getline(in, line);) {
    two += line + "\n";
  }
  std::ofstream(path) << two << "{\"prev\":";
  static_cast<void>(hands_->asked());
  start();
  EXPECT_EQ(until(record, Refused).state, Refused);
  EXPECT_EQ(hands_->asked(), Calls{});
}

TEST_F(ActionDeskTest, WhenAVmComesBackTheDifferenceIsPutRight) {
  const auto blocked = done(block_of("9.9.9.9", 600s));
  const auto paused = done(of_vm(ResponseAction::PauseVm, 600s));
  desk_->take_vm(kVm);
  for (Calls asked; asked.size() < 2; std::this_thread::sleep_for(5ms)) {
    const auto more = hands_->asked();
    asked.insert(asked.end(), more.begin(), more.end());
    ASSERT_EQ(std::count(asked.begin(), asked.end(), "holds"), static_cast<long>(asked.size()));
  }
  hands_->set<Result<bool>>(&FakeHands::in_force, false);
  std::this_thread::sleep_for(50ms); // both are back from the worker
  desk_->take_vm(kVm);
  EXPECT_EQ(until(paused, Undone).state, Undone); // somebody let it go on
  for (const auto end = monotonic_now() + kLong;
       steps_of(blocked.id) != "asked acting done acting done " && monotonic_now() < end;) {
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_EQ(steps_of(blocked.id), "asked acting done acting done ");
  const auto put_back = *desk_->find(blocked.id);
  EXPECT_NEAR(static_cast<double>(put_back.expires_ns), static_cast<double>(blocked.expires_ns),
              2e9);
  EXPECT_LE(hands_->last_ttl, 600s);
}

TEST_F(ActionDeskTest, AKillThatTakesItsTimeHoldsUpNoBlock) {
  hands_->hold(true);
  const auto kill = ask(kill_of(42));
  hands_->wait_for_act();
  hands_->set<std::string>(&FakeHands::unheld, "block_remote");
  EXPECT_EQ(settled(ask(block_of("9.9.9.9"))).state, Done);
  EXPECT_EQ(desk_->find(kill.id)->state, Acting);
}

TEST_F(ActionDeskTest, PoliciesDoNotUseUpAllRecords) {
  limits_.most_of_policies = 2;
  start();
  done(block_of("9.9.9.1", 600s, "policy 7"));
  done(block_of("9.9.9.2", 600s, "policy 7"));
  const auto refused = ask(block_of("9.9.9.3", 600s, "policy 7"));
  EXPECT_EQ(refused.state, Refused);
  EXPECT_TRUE(refused.id.empty()) << "what a policy is refused fills no journal";
  EXPECT_EQ(settled(ask(block_of("9.9.9.3"))).state, Done);
  done(block_of("9.9.9.1", 900s, "policy 7"));
}

TEST_F(ActionDeskTest, AnApprovalAfterTheProcessEndedSaysSo) {
  const auto asked = ask(kill_of(42, "policy 7"), ApprovalRule::Approve);
  hands_->set<Result<void>>(&FakeHands::allowed, fail(ErrorCode::NotFound, "it has ended"));
  ASSERT_TRUE(desk_->approve(asked.id, asked.plan_hash, "uid 0 (root)"));
  const auto record = settled(asked);
  EXPECT_EQ(record.state, Failed);
  EXPECT_EQ(record.status, ResponseStatus::NotPossible);
  EXPECT_EQ(record.reason, "it has ended");
}

TEST_F(ActionDeskTest, AJournalThatIsUsedOrDamagedIsAnError) {
  const auto find = [](const std::string &) { return nullptr; };
  EXPECT_EQ(ActionDesk::open(folder_, find).error().code, ErrorCode::LimitReached);
  done(kill_of(1));
  desk_.reset();
  std::ofstream(folder_ + "/actions.jsonl") << "nonsense\n";
  EXPECT_EQ(ActionDesk::open(folder_, find).error().code, ErrorCode::InvalidInput);
}

TEST(ActionWorkers, EndWhenThereIsNothingToDoAndBeginAgain) {
  std::atomic<int> done = 0;
  ActionWorkers workers([&](const ActionJob &) { ++done; }, 1ms);
  for (int i = 1; i < 4; ++i) {
    ASSERT_TRUE(workers.add("vm", {ActionJob::Kind::Act, "a"}));
    while (workers.threads() > 0) {
      std::this_thread::sleep_for(1ms);
      workers.tidy();
    }
    EXPECT_EQ(done, i);
  }
}

TEST(ActionWorkers, UndoComesFirstAndChecksLast) {
  std::mutex mutex;
  std::string order;
  std::atomic<bool> go = false;
  {
    ActionWorkers workers([&](const ActionJob &job) {
      while (!go) {
        std::this_thread::sleep_for(1ms);
      }
      const std::lock_guard lock(mutex);
      order += job.id;
    });
    using Kind = ActionJob::Kind;
    ASSERT_TRUE(workers.add("vm", {Kind::Act, "0"}));
    std::this_thread::sleep_for(20ms); // it is at the first
    for (const auto &job : {ActionJob{Kind::Check, "4"}, ActionJob{Kind::Act, "2"},
                            ActionJob{Kind::Look, "3"}, ActionJob{Kind::Undo, "1"}}) {
      ASSERT_TRUE(workers.add("vm", job));
    }
    go = true;
    for (bool all = false; !all; std::this_thread::sleep_for(1ms)) {
      const std::lock_guard lock(mutex);
      all = order.size() == 5;
    }
  }
  EXPECT_EQ(order, "01234");
}

// ---- What people protect

TEST_F(ActionDeskTest, WhatIsProtectedIsLetThroughByTheNextIsolation) {
  auto mirror = *parse_protection("198.51.100.0/24");
  mirror.actor = "uid 0 (root)";
  EXPECT_EQ(desk_->allow(mirror, {}).error().code, ErrorCode::InvalidInput) << "nobody says why";
  mirror.why = "our mirror";
  EXPECT_EQ(desk_->allow(mirror, std::chrono::hours(24 * 400)).error().code,
            ErrorCode::InvalidInput);
  const auto added = desk_->allow(mirror, 1h);
  ASSERT_TRUE(added);
  EXPECT_EQ(added->expires_ns - added->added_ns, std::chrono::nanoseconds(1h).count());
  mirror = *parse_protection("198.51.101.1");
  mirror.vm = "another VM";
  mirror.actor = mirror.why = "x";
  ASSERT_TRUE(desk_->allow(mirror, {}));
  auto wanted = of_vm(ResponseAction::Isolate, 1h);
  wanted.rule = IsolationRule{{*IpNetwork::parse("10.0.0.1")}};
  const auto asked = desk_->ask(wanted, ApprovalRule::Auto, true);
  ASSERT_TRUE(asked) << asked.error().message;
  EXPECT_EQ(std::get<IsolationRule>(*asked->wanted.rule).allowed,
            (std::vector{*IpNetwork::parse("10.0.0.1"), *IpNetwork::parse("198.51.100.0/24")}));
  ASSERT_TRUE(desk_->disallow(added->id, "uid 0 (root)"));
  EXPECT_EQ(desk_->protections()->of(kVm).size(), 0U);
}

} // namespace
} // namespace outguard::daemon
