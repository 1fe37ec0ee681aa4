#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "respond/fakes.h"
#include "respond/process_signal.h"

namespace outguard::respond {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using namespace std::chrono_literals;

/// Kills by the written plan: the fake's kernel cannot be called.
class WrittenKillTest : public testing::Test {
protected:
  WrittenKillTest() {
    limits_.proof_time = 60ms;
    limits_.plan_time = 500ms;
    limits_.wake_interval = 15ms;
  }
  SignalResult kill() {
    VmHands hands{sensor_, nullptr, [this]() -> Result<std::unique_ptr<hypervisor::VmControl>> {
                    if (control_error_) {
                      return tl::unexpected(*control_error_);
                    }
                    return std::make_unique<FakeControl>(vm_);
                  }};
    ProcessSignal signal({42, 7, 8}, GuestSignal::Kill, hands, limits_);
    if (dry_) {
      return signal.check();
    }
    if (auto over = signal.deliver()) {
      return *over;
    }
    return signal.prove([this] { ++wakes_; });
  }

  FakeVm vm_;
  FakeSensor sensor_;
  std::optional<Error> control_error_;
  ProcessSignalLimits limits_;
  unsigned wakes_ = 0;
  bool dry_ = false;
};

TEST_F(WrittenKillTest, IsKilledOnceALookShowsIt) {
  EXPECT_EQ(kill().status, ResponseStatus::Killed);
  EXPECT_FALSE(vm_.touched_while_running);
}

TEST_F(WrittenKillTest, AZombieIsEndedAndSaidToBeOne) {
  sensor_.end = ProcessFate::Exited;
  const auto done = kill();
  EXPECT_EQ(done.status, ResponseStatus::Killed);
  EXPECT_THAT(done.reason, HasSubstr("zombie"));
}

TEST_F(WrittenKillTest, ASleeperIsWokenAndPendingNeverKilled) {
  sensor_.looks_alive = 1'000'000;
  const auto done = kill();
  EXPECT_EQ(done.status, ResponseStatus::Pending);
  EXPECT_THAT(done.reason, HasSubstr("has not run"));
  EXPECT_GE(wakes_, 2U);
}

TEST_F(WrittenKillTest, AnUnreadableGuestIsPendingToo) {
  sensor_.looks_alive = 0;
  sensor_.end = ProcessFate::Unknown;
  const auto done = kill();
  EXPECT_EQ(done.status, ResponseStatus::Pending);
  EXPECT_THAT(done.reason, HasSubstr("cannot be read"));
}

TEST_F(WrittenKillTest, ASensorThatIsGoneIsNotAskedAgain) {
  sensor_.fate_error = Error{ErrorCode::Unreachable, "the VM has no sensor"};
  const auto done = kill();
  EXPECT_EQ(done.status, ResponseStatus::Pending);
  EXPECT_THAT(done.reason, HasSubstr("the VM has no sensor"));
  EXPECT_EQ(sensor_.looks, 1U);
  sensor_.fate_error->code = ErrorCode::Timeout;
  EXPECT_EQ(kill().status, ResponseStatus::Pending);
  EXPECT_GT(sensor_.looks, 3U) << "what may pass is waited for";
}

TEST_F(WrittenKillTest, TriesAgainWhileTheGuestMovesOn) {
  sensor_.plan_errors = {{ErrorCode::LimitReached, "siglock is held"}};
  sensor_.stale_plans = 2;
  EXPECT_EQ(kill().status, ResponseStatus::Killed);
  EXPECT_EQ(sensor_.plans, 4U);
}

TEST_F(WrittenKillTest, GivesUpAfterItsTries) {
  limits_.most_plans = 3;
  sensor_.stale_plans = 100;
  const auto done = kill();
  EXPECT_EQ(done.status, ResponseStatus::Failed);
  EXPECT_THAT(done.reason, AllOf(HasSubstr("moved on"), HasSubstr("3 plans")));
  EXPECT_EQ(sensor_.plans, 3U);
}

TEST_F(WrittenKillTest, ABusyQmpSocketIsTriedAgainAndNamed) {
  limits_.most_plans = 2;
  control_error_ = Error{ErrorCode::Unreachable, "QMP socket busy"};
  const auto done = kill();
  EXPECT_EQ(done.status, ResponseStatus::Failed);
  EXPECT_THAT(done.reason, HasSubstr("QMP socket busy"));
}

TEST_F(WrittenKillTest, ADryRunStopsBeforeTheLastCall) {
  dry_ = true;
  EXPECT_EQ(kill().status, ResponseStatus::DryRun);
  EXPECT_EQ(vm_.pauses, 0U);
}

TEST_F(WrittenKillTest, APlanForAnotherProcessIsRefused) {
  sensor_.plan_for_pid = 1;
  EXPECT_EQ(kill().status, ResponseStatus::Refused);
  EXPECT_EQ(vm_.pauses, 0U);
}

TEST_F(WrittenKillTest, AProcessThatEndedByItselfIsNoKill) {
  sensor_.plan_errors = {{ErrorCode::NotFound, "gone"}};
  EXPECT_EQ(kill().status, ResponseStatus::NotPossible);
}

} // namespace
} // namespace outguard::respond
