#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "daemon/response_thread.h"
#include "store/faulty_file_calls.h"

namespace outguard::daemon {
namespace {

using namespace std::chrono_literals;

constexpr const char *kVm = "11111111-2222-3333-4444-555555555555";
constexpr auto kLong = 20s;

/// A guest in which everything works, and a kill takes as long as the test says.
class SlowKills : public ActionHands {
public:
  Result<void> allow(const ActionWanted &wanted) override {
    return wanted.process && wanted.process->pid == 1 ? fail(ErrorCode::Refused, "pid 1")
                                                      : Result<void>();
  }
  ResponseDone act(const ActionWanted &wanted, bool dry) override {
    std::unique_lock lock(mutex_);
    calls_.emplace_back(to_string(wanted.action));
    changed_.notify_all();
    if (dry) {
      return {wanted.action, ResponseStatus::DryRun, {}};
    }
    switch (wanted.action) {
    case ResponseAction::Kill:
      changed_.wait_for(lock, kLong, [this] { return !held_; });
      return {wanted.action, killed_, {}};
    case ResponseAction::Reset:
      return {wanted.action, ResponseStatus::Reset, {}};
    default:
      return {wanted.action, ResponseStatus::Blocked, {}};
    }
  }
  Result<void> undo(const ActionWanted &) override { return {}; }
  Result<bool> holds(const ActionWanted &) override { return true; }

  void hold(bool now) {
    const std::lock_guard lock(mutex_);
    held_ = now;
    changed_.notify_all();
  }
  void set_killed(ResponseStatus status) {
    const std::lock_guard lock(mutex_);
    killed_ = status;
  }
  /// Once there are so many, or after a long time.
  std::vector<std::string> calls(std::size_t most) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kLong, [&] { return calls_.size() >= most; });
    return calls_;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> calls_;
  ResponseStatus killed_ = ResponseStatus::Killed;
  bool held_ = false;
};

using Calls = std::vector<std::string>;
using Statuses = std::vector<std::pair<ResponseAction, ResponseStatus>>;

class ResponseThreadTest : public testing::Test {
protected:
  ResponseThreadTest() {
    const bool fast = ::access("/dev/shm", W_OK) == 0;
    std::string name = (fast ? "/dev/shm" : testing::TempDir()) + "/respond-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    parts_.record = [this](const Finding &finding, const std::vector<ResponseDone> &done) {
      const std::lock_guard lock(mutex_);
      recorded_.emplace_back(finding.match.flow.flow_id, done);
      changed_.notify_all();
    };
  }
  ~ResponseThreadTest() override {
    hands_->hold(false);
    thread_.reset();
    desk_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  void start() {
    auto desk = ActionDesk::open(
        folder_, [this](const std::string &) { return hands_; }, limits_, calls_,
        [this](const BreakerOpened &opened) {
          const std::lock_guard lock(mutex_);
          breakers_.push_back(to_string(opened));
        });
    ASSERT_TRUE(desk) << desk.error().message;
    desk_ = std::move(*desk);
    parts_.desk = desk_.get();
    thread_ = std::make_unique<ResponseThread>(kVm, parts_);
  }
  /// Kill is wanted first, and done last.
  static Finding finding(std::uint64_t flow, std::int32_t pid = 42) {
    Finding finding;
    finding.rule = "listed";
    finding.mode = ResponseMode::Enforce;
    finding.wanted = {
        {ResponseAction::Kill, {}}, {ResponseAction::Reset, {}}, {ResponseAction::BlockFlow, 60s}};
    finding.match.flow.flow_id = flow;
    finding.match.flow.tuple = {6,
                                {*IpAddress::parse("10.0.0.2"), static_cast<std::uint16_t>(flow)},
                                {*IpAddress::parse("203.0.113.9"), 443}};
    finding.match.flow.last_packet_ns = wall_now().time_since_epoch().count() - 5'000'000;
    finding.match.indicator.value = GuestText("bad\x1b.example");
    finding.match.attribution.status = AttributionStatus::Exact;
    ProcessSeen process;
    process.identity = {pid, 7, 8};
    process.kernel_thread = true; // no hash is waited for
    finding.match.attribution.processes = {process};
    return finding;
  }
  /// Of the finding with this flow, once it is recorded.
  std::vector<ResponseDone> recorded(std::uint64_t flow) {
    std::unique_lock lock(mutex_);
    const std::vector<ResponseDone> *found = nullptr;
    changed_.wait_for(lock, kLong, [&] {
      for (const auto &[id, done] : recorded_) {
        found = id == flow ? &done : found;
      }
      return found != nullptr;
    });
    return found != nullptr ? *found : std::vector<ResponseDone>();
  }
  static Statuses statuses(const std::vector<ResponseDone> &responses) {
    Statuses statuses;
    for (const auto &done : responses) {
      statuses.emplace_back(done.action, done.status);
    }
    return statuses;
  }
  ResponseDone only(std::uint64_t flow) {
    const auto all = recorded(flow);
    return all.empty() ? ResponseDone() : all.back();
  }

  std::string folder_;
  ActionLimits limits_;
  std::shared_ptr<SlowKills> hands_ = std::make_shared<SlowKills>();
  std::shared_ptr<store::FaultyFileCalls> calls_ = std::make_shared<store::FaultyFileCalls>();
  std::unique_ptr<ActionDesk> desk_;
  ResponseParts parts_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<std::uint64_t, std::vector<ResponseDone>>> recorded_;
  std::vector<std::string> breakers_;

  std::unique_ptr<ResponseThread> thread_;
};

TEST_F(ResponseThreadTest, ContainsFirstAndJournalsAllWithOneSync) {
  start();
  const auto before = calls_->calls();
  hands_->hold(true);
  thread_->answer(finding(1));
  EXPECT_EQ(hands_->calls(3).front(), "block_flow");
  hands_->hold(false);
  const auto done = recorded(1);
  EXPECT_EQ(statuses(done), (Statuses{{ResponseAction::BlockFlow, ResponseStatus::Blocked},
                                      {ResponseAction::Reset, ResponseStatus::Reset},
                                      {ResponseAction::Kill, ResponseStatus::Killed}}));
  EXPECT_EQ(calls_->calls() - before, 8U)
      << "a write and a sync for what is asked together, and for each that is done";
  for (const auto &one : done) {
    const auto record = desk_->find(one.action_id);
    ASSERT_TRUE(record);
    EXPECT_EQ(record->wanted.actor, "policy listed");
    EXPECT_NE(record->wanted.why.find("10.0.0.2:1 <-> 203.0.113.9:443"), std::string::npos);
    EXPECT_NE(record->wanted.why.find("bad\\x1b.example"), std::string::npos);
    EXPECT_GE(one.latency_us, 5000U);
    EXPECT_FALSE(record->wanted.match) << "what is over keeps no flow";
  }
}

TEST_F(ResponseThreadTest, ASlowKillHoldsUpNoOtherFindingsBlock) {
  start();
  hands_->hold(true);
  thread_->answer(finding(1));
  EXPECT_EQ(hands_->calls(3).size(), 3U);
  auto other = finding(2);
  other.wanted.erase(other.wanted.begin()); // no kill
  thread_->answer(other);
  EXPECT_EQ(statuses(recorded(2)), (Statuses{{ResponseAction::BlockFlow, ResponseStatus::Blocked},
                                             {ResponseAction::Reset, ResponseStatus::Reset}}));
  const std::lock_guard lock(mutex_);
  EXPECT_EQ(recorded_.size(), 1U) << "the first one's kill goes on";
}

TEST_F(ResponseThreadTest, WhatIsPendingIsRecordedOnceItIsProved) {
  hands_->set_killed(ResponseStatus::Pending);
  start();
  thread_->answer(finding(1));
  EXPECT_EQ(only(1).status, ResponseStatus::Killed);
}

TEST_F(ResponseThreadTest, EveryHolderOfTheSocketIsAnActionOfItsOwn) {
  start();
  auto both = finding(1);
  both.match.attribution.processes.push_back(both.match.attribution.processes[0]);
  both.match.attribution.processes[0].identity.pid = 1;
  both.wanted = {{ResponseAction::Kill, {}}};
  thread_->answer(both);
  const auto done = recorded(1);
  EXPECT_EQ(statuses(done), (Statuses{{ResponseAction::Kill, ResponseStatus::Refused},
                                      {ResponseAction::Kill, ResponseStatus::Killed}}));
  EXPECT_EQ(done.at(0).reason, "pid 1: pid 1");
  EXPECT_EQ(done.at(1).reason, "pid 42");
}

TEST_F(ResponseThreadTest, WhatIsWithheldIsSkippedAndNotJournaled) {
  start();
  auto not_him = finding(1);
  for (auto &want : not_him.wanted) {
    want.withheld = "not him";
  }
  thread_->answer(not_him);
  EXPECT_EQ(only(1).status, ResponseStatus::Skipped);
  EXPECT_EQ(only(1).reason, "not him");
  EXPECT_TRUE(desk_->list().empty());
  not_him.match.flow.flow_id = 2;
  not_him.match.prevented = true;
  thread_->answer(not_him);
  EXPECT_EQ(recorded(2).at(0).status, ResponseStatus::Blocked) << "the packet never left";
  EXPECT_TRUE(desk_->list().empty());
}

TEST_F(ResponseThreadTest, AProcessThatIsNotCertainIsNotTouched) {
  start();
  auto doubtful = finding(1);
  doubtful.match.attribution.status = AttributionStatus::Cached;
  thread_->answer(doubtful);
  EXPECT_EQ(statuses(recorded(1)), (Statuses{{ResponseAction::BlockFlow, ResponseStatus::Blocked},
                                             {ResponseAction::Reset, ResponseStatus::Reset},
                                             {ResponseAction::Kill, ResponseStatus::Refused}}));
  EXPECT_NE(only(1).reason.find("not certain"), std::string::npos);
  EXPECT_EQ(hands_->calls(2), (Calls{"block_flow", "reset"}));
  doubtful = finding(2);
  doubtful.match.attribution.processes.clear();
  thread_->answer(doubtful);
  EXPECT_EQ(recorded(2).at(0).reason, "no process is known to hold the socket");
}

TEST_F(ResponseThreadTest, MonitorModeIsADryRunAlsoOfWhatNeedsApproval) {
  parts_.approvals.fill(ApprovalRule::Approve);
  start();
  auto watched = finding(1);
  watched.mode = ResponseMode::Monitor;
  thread_->answer(watched);
  for (const auto &one : recorded(1)) {
    EXPECT_EQ(one.status, ResponseStatus::DryRun);
    EXPECT_EQ(desk_->find(one.action_id)->status, ResponseStatus::DryRun);
  }
}

TEST_F(ResponseThreadTest, WhatWaitsForApprovalSaysHowAndIsDoneWhenApproved) {
  parts_.approvals[static_cast<std::size_t>(ResponseAction::Kill)] = ApprovalRule::Approve;
  parts_.approvals[static_cast<std::size_t>(ResponseAction::Reset)] = ApprovalRule::Never;
  start();
  thread_->answer(finding(1));
  EXPECT_EQ(statuses(recorded(1)), (Statuses{{ResponseAction::BlockFlow, ResponseStatus::Blocked},
                                             {ResponseAction::Reset, ResponseStatus::Refused},
                                             {ResponseAction::Kill, ResponseStatus::Waiting}}));
  const auto waits = only(1);
  const auto record = desk_->find(waits.action_id);
  ASSERT_TRUE(record);
  EXPECT_EQ(waits.reason, "outguard action approve " + record->id + " " + record->plan_hash);
  ASSERT_TRUE(desk_->approve(record->id, record->plan_hash, "uid 0 (root)"));
  EXPECT_EQ(desk_->wait(record->id, kLong)->status, ResponseStatus::Killed);
}

TEST_F(ResponseThreadTest, TooManyKillsOpenTheBreakerAndBlocksGoOn) {
  limits_.budgets[static_cast<std::size_t>(ResponseAction::Kill)] = {2, {}, {}};
  start();
  for (std::uint64_t flow = 1; flow <= 5; ++flow) {
    thread_->answer(finding(flow, static_cast<std::int32_t>(100 + flow)));
    const auto done = recorded(flow);
    EXPECT_EQ(done.at(0).status, ResponseStatus::Blocked);
    EXPECT_EQ(done.at(2).status, flow <= 2 ? ResponseStatus::Killed : ResponseStatus::Refused);
    EXPECT_EQ(done.at(2).reason.find("breaker") != std::string::npos, flow > 2) << flow;
    EXPECT_EQ(done.at(2).action_id.empty(), flow > 3) << "an open breaker fills no journal";
  }
  desk_->close_breakers();
  thread_->answer(finding(6, 200));
  EXPECT_EQ(only(6).status, ResponseStatus::Killed);
  const std::lock_guard lock(mutex_);
  EXPECT_EQ(breakers_, Calls{"more than 2 kill a minute in this VM: refused for 600 s"});
}

TEST_F(ResponseThreadTest, WithoutAJournalItBlocksAndKillsNobody) {
  start();
  calls_->fail_at(1, {ENOSPC}, true);
  thread_->answer(finding(1));
  EXPECT_EQ(statuses(recorded(1)), (Statuses{{ResponseAction::BlockFlow, ResponseStatus::Blocked},
                                             {ResponseAction::Reset, ResponseStatus::Failed},
                                             {ResponseAction::Kill, ResponseStatus::Failed}}));
  const auto id = recorded(1).at(0).action_id;
  EXPECT_EQ(desk_->find(id)->state, ActionState::Done);
  EXPECT_EQ(hands_->calls(1), Calls{"block_flow"});
  calls_->heal();
  thread_.reset();
  desk_.reset();
  start(); // what the journal could not take it took later
  ASSERT_TRUE(desk_->find(id));
  EXPECT_EQ(desk_->find(id)->state, ActionState::Done);
}

TEST_F(ResponseThreadTest, WithoutADeskItStillAlerts) {
  parts_.no_desk = "the journal is damaged";
  thread_ = std::make_unique<ResponseThread>(kVm, parts_);
  thread_->answer(finding(1));
  EXPECT_EQ(only(1).status, ResponseStatus::Failed);
  EXPECT_EQ(only(1).reason, "the journal is damaged");
}

TEST_F(ResponseThreadTest, TheEndLosesNoAlert) {
  start();
  hands_->hold(true);
  thread_->answer(finding(1));
  EXPECT_EQ(hands_->calls(3).size(), 3U);
  thread_->end();
  thread_->answer(finding(2));
  EXPECT_EQ(only(2).status, ResponseStatus::Failed);
  EXPECT_EQ(only(1).status, ResponseStatus::Pending);
}

TEST_F(ResponseThreadTest, AfterAnUndoAPolicyWaitsAndTheSameRemoteIsRenewed) {
  start();
  auto remote = finding(1);
  remote.wanted = {{ResponseAction::BlockRemote, 60s}};
  thread_->answer(remote);
  const auto first = only(1);
  remote.match.flow.flow_id = 2;
  thread_->answer(remote);
  EXPECT_EQ(only(2).action_id, first.action_id);
  EXPECT_EQ(only(2).status, ResponseStatus::Blocked);
  ASSERT_TRUE(desk_->undo(first.action_id, "uid 0 (root)"));
  EXPECT_EQ(desk_->wait(first.action_id, kLong)->state, ActionState::Undone);
  remote.match.flow.flow_id = 3;
  thread_->answer(remote);
  EXPECT_EQ(only(3).status, ResponseStatus::Refused);
  EXPECT_NE(only(3).reason.find("cool-down"), std::string::npos);
}

} // namespace
} // namespace outguard::daemon
