#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "respond/fakes.h"
#include "respond/responder.h"

namespace outguard::respond {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using namespace std::chrono_literals;

auto is(ResponseAction action, ResponseStatus status) {
  return AllOf(Field(&ResponseDone::action, action), Field(&ResponseDone::status, status));
}

class ResponderTest : public testing::Test {
protected:
  ResponderTest() {
    finding_.vm.uuid = "6f9619ff-8b86-d011-b42d-00c04fc964ff";
    finding_.mode = ResponseMode::Enforce;
    finding_.wanted = {
        {ResponseAction::Kill, {}}, {ResponseAction::Reset, {}}, {ResponseAction::BlockFlow, 60s}};
    finding_.match.flow.tuple = {
        6, {*IpAddress::parse("10.0.0.2"), 4000}, {*IpAddress::parse("203.0.113.9"), 443}};
    finding_.match.flow.first_packet_ns = wall_now().time_since_epoch().count() - 5'000'000;
    finding_.match.attribution.status = AttributionStatus::Exact;
    finding_.match.attribution.processes = {process(42)};
    limits_.proof_time = 60ms;
    limits_.plan_time = 500ms;
    limits_.wake_interval = 15ms;
    sensor_.calls = &network_.calls;
  }
  static ProcessSeen process(std::int32_t pid) {
    ProcessSeen seen;
    seen.identity = {pid, 7, 8};
    seen.comm = GuestText("beacon");
    seen.exe = GuestText("/tmp/beacon");
    return seen;
  }
  std::vector<ResponseDone> respond(bool with_network = true) {
    Responder responder(guard_, lock_, limits_);
    VmHands hands{sensor_, with_network ? &network_ : nullptr,
                  [this]() -> Result<std::unique_ptr<hypervisor::VmControl>> {
                    if (control_error_) {
                      return tl::unexpected(*control_error_);
                    }
                    return std::make_unique<FakeControl>(vm_);
                  }};
    return responder.respond(finding_, hands);
  }
  ResponseDone kill_only() {
    finding_.wanted = {{ResponseAction::Kill, {}}};
    return respond().at(0);
  }

  Finding finding_;
  FakeVm vm_;
  FakeSensor sensor_;
  FakeNetwork network_;
  std::optional<Error> control_error_;
  Guard guard_{GuardPolicy{}};
  std::mutex lock_;
  ResponderLimits limits_;
};

TEST_F(ResponderTest, ContainsFirstThenMarksThenResetsThenProves) {
  const auto done = respond();
  EXPECT_THAT(done, ElementsAre(is(ResponseAction::BlockFlow, ResponseStatus::Blocked),
                                is(ResponseAction::Reset, ResponseStatus::Reset),
                                is(ResponseAction::Kill, ResponseStatus::Killed)));
  EXPECT_THAT(network_.calls, ElementsAre("block", "plan", "reset", "wake"));
  EXPECT_GE(done.at(2).latency_us, 5000U);
  EXPECT_GE(done.at(2).latency_us, done.at(0).latency_us);
}

TEST_F(ResponderTest, WhatIsWithheldIsSkippedWithItsReasonAndTouchesNothing) {
  for (auto &want : finding_.wanted) {
    want.withheld = "not him";
  }
  const auto done = respond();
  EXPECT_THAT(done, ElementsAre(is(ResponseAction::Kill, ResponseStatus::Skipped),
                                is(ResponseAction::Reset, ResponseStatus::Skipped),
                                is(ResponseAction::BlockFlow, ResponseStatus::Skipped)));
  EXPECT_EQ(done.at(0).reason, "not him");
  EXPECT_THAT(network_.calls, IsEmpty());
  finding_.wanted[0].withheld.clear();
  EXPECT_THAT(respond(), Contains(is(ResponseAction::Kill, ResponseStatus::Killed)));
  EXPECT_THAT(network_.calls, ElementsAre("plan", "wake"));
}

TEST_F(ResponderTest, TheRemoteEndIsResetWhereItStoodBeforeTheBlock) {
  finding_.wanted = {{ResponseAction::BlockFlow, 60s}, {ResponseAction::Reset, {}}};
  (void)respond();
  EXPECT_EQ(network_.reset_at.for_remote.guest_next, 100U);
  EXPECT_EQ(network_.reset_at.for_guest.guest_next, 110U);
}

TEST_F(ResponderTest, AFlowThatIsNotBlockedIsResetWhereItIsNow) {
  finding_.wanted = {{ResponseAction::Reset, {}}};
  (void)respond();
  EXPECT_EQ(network_.reset_at.for_remote.guest_next, 100U);
  network_.answer = fail(ErrorCode::Unsupported, "no way");
  finding_.wanted = {{ResponseAction::BlockFlow, 60s}, {ResponseAction::Reset, {}}};
  (void)respond();
  EXPECT_EQ(network_.reset_at.for_remote.guest_next, network_.reset_at.for_guest.guest_next);
  EXPECT_EQ(network_.reset_at.for_remote.guest_next, 120U);
}

TEST_F(ResponderTest, AZombieIsEndedAndSaidToBeOne) {
  sensor_.end = ProcessFate::Exited;
  const auto done = kill_only();
  EXPECT_EQ(done.status, ResponseStatus::Killed);
  EXPECT_THAT(done.reason, HasSubstr("zombie"));
}

TEST_F(ResponderTest, ASleeperIsPendingNeverKilled) {
  sensor_.looks_alive = 1'000'000;
  const auto done = kill_only();
  EXPECT_EQ(done.status, ResponseStatus::Pending);
  EXPECT_THAT(done.reason, HasSubstr("has not run"));
  EXPECT_GE(std::count(network_.calls.begin(), network_.calls.end(), "wake"), 2);
}

TEST_F(ResponderTest, AnUnreadableGuestIsPendingToo) {
  sensor_.looks_alive = 0;
  sensor_.end = ProcessFate::Unknown;
  const auto done = kill_only();
  EXPECT_EQ(done.status, ResponseStatus::Pending);
  EXPECT_THAT(done.reason, HasSubstr("cannot be read"));
}

TEST_F(ResponderTest, ASensorThatIsGoneIsNotAskedAgain) {
  sensor_.fate_error = Error{ErrorCode::Unreachable, "the VM has no sensor"};
  const auto done = kill_only();
  EXPECT_EQ(done.status, ResponseStatus::Pending);
  EXPECT_THAT(done.reason, HasSubstr("the VM has no sensor"));
  EXPECT_EQ(sensor_.looks, 1U);
  sensor_.fate_error->code = ErrorCode::Timeout;
  EXPECT_EQ(kill_only().status, ResponseStatus::Pending);
  EXPECT_GT(sensor_.looks, 3U) << "what may pass is waited for";
}

TEST_F(ResponderTest, TriesAgainWhileTheGuestMovesOn) {
  sensor_.plan_errors = {{ErrorCode::LimitReached, "siglock is held"}};
  sensor_.stale_plans = 2;
  EXPECT_EQ(kill_only().status, ResponseStatus::Killed);
  EXPECT_EQ(sensor_.plans, 4U);
}

TEST_F(ResponderTest, GivesUpAfterItsTries) {
  limits_.most_plans = 3;
  sensor_.stale_plans = 100;
  const auto done = kill_only();
  EXPECT_EQ(done.status, ResponseStatus::Failed);
  EXPECT_THAT(done.reason, AllOf(HasSubstr("moved on"), HasSubstr("3 plans")));
  EXPECT_EQ(sensor_.plans, 3U);
  EXPECT_THAT(network_.calls, Not(Contains("wake")));
}

TEST_F(ResponderTest, ABusyQmpSocketIsTriedAgainAndNamed) {
  limits_.most_plans = 2;
  control_error_ = Error{ErrorCode::Unreachable, "QMP socket busy"};
  const auto done = kill_only();
  EXPECT_EQ(done.status, ResponseStatus::Failed);
  EXPECT_THAT(done.reason, HasSubstr("QMP socket busy"));
}

TEST_F(ResponderTest, MonitorModeStopsBeforeTheLastCall) {
  finding_.mode = ResponseMode::Monitor;
  EXPECT_THAT(respond(), ElementsAre(is(ResponseAction::BlockFlow, ResponseStatus::DryRun),
                                     is(ResponseAction::Reset, ResponseStatus::DryRun),
                                     is(ResponseAction::Kill, ResponseStatus::DryRun)));
  EXPECT_THAT(network_.calls, ElementsAre("plan", "check_reset"));
  EXPECT_EQ(vm_.pauses, 0U);
}

TEST_F(ResponderTest, MonitorModeAsksTheGuardToo) {
  finding_.mode = ResponseMode::Monitor;
  finding_.match.attribution.processes[0].identity.pid = 1;
  EXPECT_EQ(kill_only().status, ResponseStatus::Refused);
}

TEST_F(ResponderTest, ProtectedProcessesAreRefusedWithTheReason) {
  finding_.match.attribution.processes[0].exe = GuestText("/usr/sbin/sshd");
  const auto done = kill_only();
  EXPECT_EQ(done.status, ResponseStatus::Refused);
  EXPECT_THAT(done.reason, HasSubstr("sshd"));
  EXPECT_EQ(sensor_.plans, 0U);
}

TEST_F(ResponderTest, ProtectedNetworksAreNeitherBlockedNorReset) {
  GuardPolicy policy;
  policy.protected_networks = {{*IpAddress::parse("203.0.113.0"), 24, "storage"}};
  guard_.replace_policy(policy);
  finding_.wanted = {{ResponseAction::BlockFlow, 60s}, {ResponseAction::Reset, {}}};
  EXPECT_THAT(respond(), ElementsAre(is(ResponseAction::BlockFlow, ResponseStatus::Refused),
                                     is(ResponseAction::Reset, ResponseStatus::Refused)));
  EXPECT_THAT(network_.calls, IsEmpty());
}

TEST_F(ResponderTest, APlanForAnotherProcessIsRefused) {
  sensor_.plan_for_pid = 1;
  EXPECT_EQ(kill_only().status, ResponseStatus::Refused);
  EXPECT_EQ(vm_.pauses, 0U);
}

TEST_F(ResponderTest, WhatIsNotPossibleIsSaidSo) {
  EXPECT_THAT(respond(false), Contains(is(ResponseAction::Reset, ResponseStatus::NotPossible)));
  network_.answer = fail(ErrorCode::Unsupported, "two VLAN tags");
  EXPECT_THAT(respond(), Contains(AllOf(is(ResponseAction::BlockFlow, ResponseStatus::NotPossible),
                                        Field(&ResponseDone::reason, "two VLAN tags"))));
  finding_.match.attribution.processes.clear();
  EXPECT_EQ(kill_only().status, ResponseStatus::NotPossible);
}

TEST_F(ResponderTest, AFailedBlockIsNoBlock) {
  network_.answer = fail(ErrorCode::SystemFailed, "not there when read back");
  finding_.wanted = {{ResponseAction::BlockFlow, 60s}};
  EXPECT_THAT(respond(), ElementsAre(is(ResponseAction::BlockFlow, ResponseStatus::Failed)));
}

TEST_F(ResponderTest, AProcessThatEndedByItselfIsNoKill) {
  sensor_.plan_errors = {{ErrorCode::NotFound, "gone"}};
  EXPECT_EQ(kill_only().status, ResponseStatus::NotPossible);
}

TEST_F(ResponderTest, EveryHolderOfTheSocketMustBeGone) {
  finding_.match.attribution.processes = {process(1), process(42)};
  const auto done = kill_only();
  EXPECT_EQ(done.status, ResponseStatus::Refused);
  EXPECT_THAT(done.reason, AllOf(HasSubstr("pid 1: refused"), HasSubstr("pid 42: killed")));
}

} // namespace
} // namespace outguard::respond
