#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hypervisor/gdb_remote.h"
#include "respond/fakes.h"
#include "respond/process_signal.h"
#include "respond/signal_call.h"

namespace outguard::respond {
namespace {

using hypervisor::FakeGdbStub;
namespace gdb = hypervisor::gdb;
using testing::HasSubstr;
using testing::IsEmpty;
using namespace std::chrono_literals;
using Fault = FakeGdbStub::Fault;

constexpr std::uint64_t kText = 0xffff'ffff'8100'0000, kTask = 0xffff'8880'0123'4500;
const std::vector<std::uint8_t> kWayBack = {0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c,
                                            0x5d, 0x5b, 0x41, 0x5b, 0x41, 0x5a, 0x41, 0x59,
                                            0x41, 0x58, 0x58, 0x59, 0x5a, 0x5e, 0x5f};

SignalPlan plan() {
  SignalPlan plan;
  plan.process = {42, 7, kTask};
  plan.identity = {{FakeVm::kFirstPage, 4, ~0U, 42, 0, 0}};
  plan.stop_at = FakeGdbStub::kStop;
  plan.hurry_at = kText + 0x100;
  plan.function = kText + 0x200;
  plan.return_to = kText + 0x300;
  plan.kernel_begin = kText;
  plan.kernel_end = kText + 0x20'0000;
  return plan;
}

class SignalCall : public testing::Test {
protected:
  SignalOutcome call(Fault fault = Fault::None, const SignalPlan &wanted = plan()) {
    stub = std::make_unique<FakeGdbStub>(fault);
    stub->put(wanted.return_to, way_back);
    for (const auto &[offset, size, value] : registers) {
      stub->set_register(offset, size, value);
    }
    vm.stub = stub.get();
    FakeControl control(vm);
    return call_signal(control, wanted, {}, {100ms, 5ms, 500ms});
  }
  /// Nothing was changed, and the VM runs without a breakpoint.
  void expect_untouched() {
    EXPECT_FALSE(stub->was_sent("G"));
    EXPECT_TRUE(stub->running || vm.mends > 0);
    EXPECT_TRUE(stub->breakpoints == 0 || vm.mends > 0);
    EXPECT_EQ(vm.writes, 0U);
    EXPECT_EQ(vm.closes, 1U);
  }
  static std::uint64_t word(const std::string &packet, std::size_t byte) {
    std::uint64_t value = 0;
    for (std::size_t i = 8; i-- > 0;) {
      value = value << 8 | std::stoul(packet.substr(2 * (byte + i), 2), nullptr, 16);
    }
    return value;
  }

  SignalCall() { vm.set_word(FakeVm::kFirstPage, 42); }
  struct Set {
    std::size_t offset, size;
    std::uint64_t value;
  };
  FakeVm vm;
  std::vector<Set> registers;
  std::vector<std::uint8_t> way_back = kWayBack;
  std::unique_ptr<FakeGdbStub> stub;
};

TEST_F(SignalCall, LaysTheFrameBelowTheStackAndCallsTheFunction) {
  const auto outcome = call();
  ASSERT_EQ(outcome.status, SignalStatus::Called) << outcome.reason;
  EXPECT_TRUE(stub->running);
  EXPECT_EQ(stub->breakpoints, 0);
  EXPECT_EQ(stub->stray_acks, 0);
  EXPECT_EQ(vm.closes, 1U);
  EXPECT_EQ(vm.mends, 0U);
  EXPECT_EQ(vm.writes, 0U);
  EXPECT_GT(outcome.paused.count(), 0);
  EXPECT_GE(outcome.took, outcome.paused);
  const std::uint64_t stack = ((FakeGdbStub::kStack - 512) & ~15ULL) - 8;
  std::string frame, written;
  for (const auto &packet : stub->packets()) {
    frame = packet[0] == 'M' ? packet.substr(packet.find(':') + 1) : frame;
    written = packet[0] == 'G' ? packet.substr(1) : written;
  }
  ASSERT_EQ(frame.size(), 22 * 16U);
  EXPECT_EQ(word(frame, 0), plan().return_to);
  EXPECT_EQ(word(frame, 8 * 11), 0x11U) << "rax, as it was";
  EXPECT_EQ(word(frame, 8 * 16), ~0ULL) << "no system call to begin again";
  EXPECT_EQ(word(frame, 8 * 17), FakeGdbStub::kStop);
  EXPECT_EQ(word(frame, 8 * 18), 0x10U);
  EXPECT_EQ(word(frame, 8 * 19), 0x46U);
  EXPECT_EQ(word(frame, 8 * 20), FakeGdbStub::kStack);
  EXPECT_EQ(word(frame, 8 * 21), 0x18U);
  EXPECT_EQ(word(written, 8 * 7), stack);
  EXPECT_EQ(stack % 16, 8U) << "as behind a call";
  EXPECT_EQ(word(written, 8 * 5), 9U);
  EXPECT_EQ(word(written, 8 * 4), 1U);
  EXPECT_EQ(word(written, 8 * 3), kTask);
  EXPECT_EQ(word(written, 8 * 2), 1U);
  EXPECT_EQ(word(written, 8 * 16), plan().function);
}

TEST_F(SignalCall, AProcessThatIsAnotherByNowIsLeftAlone) {
  vm.set_word(FakeVm::kFirstPage, 43);
  EXPECT_EQ(call().status, SignalStatus::Mismatch);
  expect_untouched();
}

TEST_F(SignalCall, AnotherKernelIsLeftAlone) {
  way_back.back() = 0x90;
  EXPECT_EQ(call().status, SignalStatus::Mismatch);
  expect_untouched();
}

TEST_F(SignalCall, AProcessorThatStandsElsewhereIsLeftAlone) {
  const std::vector<Set> elsewhere = {{128, 8, kText + 0x999},         // rip
                                      {136, 4, 0x246},                 // interrupts on
                                      {140, 4, 0x33},                  // user code
                                      {56, 8, 0x7fff'0000'0000},       // user's stack
                                      {56, 8, 0xffff'c900'0000'8f41}}; // not aligned
  for (const Set &odd : elsewhere) {
    vm.closes = 0;
    registers = {odd};
    EXPECT_EQ(call().status, SignalStatus::Mismatch) << odd.value;
    expect_untouched();
  }
}

TEST_F(SignalCall, NobodyCameBy) {
  const auto outcome = call(Fault::NeverHit);
  EXPECT_EQ(outcome.status, SignalStatus::Missed);
  EXPECT_EQ(vm.disturbances, 1U);
  expect_untouched();
  EXPECT_EQ(call(Fault::LateHit).status, SignalStatus::Missed);
}

TEST_F(SignalCall, EveryFaultOfTheStubLeavesTheGuestAsItWas) {
  for (const Fault fault : {Fault::Garbage, Fault::CloseAtHit, Fault::OtherStop, Fault::Silent,
                            Fault::RefuseWrite, Fault::Endless}) {
    vm.closes = vm.mends = 0;
    EXPECT_NE(call(fault).status, SignalStatus::Called) << static_cast<int>(fault);
    expect_untouched();
  }
  EXPECT_NE(call(Fault::BadChecksum).status, SignalStatus::Called);
  EXPECT_FALSE(stub->was_sent("G"));
  for (const Fault fault : {Fault::Chatter, Fault::LosesFirst}) {
    EXPECT_EQ(call(fault).status, SignalStatus::Called) << static_cast<int>(fault);
  }
}

TEST_F(SignalCall, AStubThatIsSomebodyElsesIsRefused) {
  vm.stub_error = Error{ErrorCode::Refused, "a debugger stub is open already"};
  EXPECT_EQ(call().status, SignalStatus::Refused);
  EXPECT_EQ(vm.mends, 0U);
  vm.stub_error = Error{ErrorCode::Timeout, "QMP does not answer"};
  EXPECT_EQ(call().status, SignalStatus::Failed);
  EXPECT_EQ(vm.mends, 1U) << "it may be open all the same";
}

TEST_F(SignalCall, TheGuardedCallReportsAlike) {
  FakeGdbStub fake;
  fake.put(plan().return_to, kWayBack);
  const int stub_end = fake.connect(gdb::packets({gdb::kWhy, gdb::break_at(plan().stop_at),
                                                  gdb::break_at(plan().hurry_at), gdb::kRun}))
                           .release(); // its thread lives in this process
  class Connected : public FakeControl {
  public:
    Connected(FakeVm &vm, int socket) : FakeControl(vm), socket_(socket) {}
    Result<Fd> open_debugger(std::string_view) override { return Fd(socket_); }

  private:
    int socket_;
  } control(vm, stub_end);
  const auto outcome = call_signal_guarded(control, plan());
  EXPECT_EQ(outcome.status, SignalStatus::Called) << outcome.reason;
  EXPECT_GT(outcome.paused.count(), 0);
  EXPECT_TRUE(fake.was_sent("G"));
  ::close(stub_end);
}

TEST(ValidateSignalPlan, RefusesWhatIsNotAPlan) {
  EXPECT_TRUE(validate_signal_plan(plan()));
  const auto refused = [](const std::function<void(SignalPlan &)> &spoil) {
    SignalPlan spoiled = plan();
    spoil(spoiled);
    return !validate_signal_plan(spoiled);
  };
  EXPECT_TRUE(refused([](auto &p) { p.signal = static_cast<GuestSignal>(11); }));
  EXPECT_TRUE(refused([](auto &p) { p.process.pid = 1; }));
  EXPECT_TRUE(refused([](auto &p) { p.process.task = 0x7fff'0000'0000; }));
  EXPECT_TRUE(refused([](auto &p) { p.process.task = kTask + 1; }));
  EXPECT_TRUE(refused([](auto &p) { p.identity.clear(); }));
  EXPECT_TRUE(refused([](auto &p) { p.identity.resize(9, p.identity[0]); }));
  EXPECT_TRUE(refused([](auto &p) { p.identity[0].width = 3; }));
  EXPECT_TRUE(refused([](auto &p) { p.identity[0].address = 0x1ffe; }));
  EXPECT_TRUE(refused([](auto &p) { p.identity[0].write_mask = 1; })) << "a plan may not write";
  EXPECT_TRUE(refused([](auto &p) { p.stop_at = p.kernel_end; }));
  EXPECT_TRUE(refused([](auto &p) { p.function = kText - 1; }));
  EXPECT_TRUE(refused([](auto &p) { p.return_to = 0x1000; }));
  EXPECT_TRUE(refused([](auto &p) { p.hurry_at = 0x1000; }));
  EXPECT_TRUE(refused([](auto &p) { p.hurry_at = p.stop_at; }));
  EXPECT_FALSE(refused([](auto &p) { p.hurry_at = 0; })) << "none is known";
  EXPECT_TRUE(refused([](auto &p) { p.kernel_end = p.kernel_begin + (1ULL << 30); }));
  EXPECT_TRUE(refused([](auto &p) { p.kernel_begin = 0x1000; }));
}

// ---- By whichever way works
// --------------------------------------------------------------------------

class ProcessSignalTest : public SignalCall {
protected:
  ProcessSignalTest() {
    limits.proof_time = 60ms;
    limits.plan_time = 500ms;
    limits.most_plans = 3;
    sensor.signal_plan = plan();
  }
  const ProcessIdentity process{42, 7, kTask};
  VmHands hands{sensor, nullptr, [this]() -> Result<std::unique_ptr<hypervisor::VmControl>> {
                  return std::make_unique<FakeControl>(vm);
                }};
  FakeSensor sensor;
  ProcessSignalLimits limits;
};

TEST_F(ProcessSignalTest, WhereTheStubIsRefusedAProcessIsEndedByWriting) {
  vm.stub_error = Error{ErrorCode::Refused, "a debugger stub is open already"};
  vm.set_word(FakeVm::kFirstPage, 0);
  ProcessSignal kill(process, GuestSignal::Kill, hands, limits);
  ASSERT_FALSE(kill.deliver());
  EXPECT_TRUE(kill.is_only_marked());
  EXPECT_EQ(kill.prove().status, ResponseStatus::Killed);
  EXPECT_EQ(sensor.signal_plans, 1U) << "no use in asking again";
}

TEST_F(ProcessSignalTest, IfNeitherWayWorksBothReasonsAreTold) {
  vm.stub_error = Error{ErrorCode::Refused, "a debugger stub is open already"};
  sensor.stale_plans = 100;
  const auto done = kill_process(process, hands, limits);
  EXPECT_EQ(done.status, ResponseStatus::Failed);
  EXPECT_THAT(done.reason, testing::AllOf(HasSubstr("moved on"), HasSubstr("open already")));
}

TEST_F(ProcessSignalTest, NothingElseCanSuspend) {
  vm.stub_error = Error{ErrorCode::Refused, "a debugger stub is open already"};
  const auto done = suspend_process(process, hands, limits);
  EXPECT_EQ(done.status, ResponseStatus::Refused);
  EXPECT_THAT(done.reason, testing::AllOf(HasSubstr("open already"), HasSubstr("no other way")));
  EXPECT_EQ(sensor.plans, 0U);
}

TEST_F(ProcessSignalTest, ADryRunOpensNothing) {
  vm.stub_error = Error{ErrorCode::SystemFailed, "opened"};
  ProcessSignal kill(process, GuestSignal::Kill, hands, limits);
  EXPECT_EQ(kill.check().status, ResponseStatus::DryRun);
  sensor.signal_plan.reset();
  EXPECT_EQ(kill.check().status, ResponseStatus::DryRun) << "by writing";
  EXPECT_EQ(ProcessSignal(process, GuestSignal::Stop, hands, limits).check().status,
            ResponseStatus::NotPossible);
  EXPECT_EQ(vm.pauses, 0U);
}

TEST_F(ProcessSignalTest, APlanThatIsNoneOrForAnotherIsRefusedForGood) {
  sensor.signal_plan->function = 0x1000;
  EXPECT_EQ(kill_process(process, hands, limits).status, ResponseStatus::Refused);
  EXPECT_EQ(sensor.plans, 0U) << "a sensor that lies is not asked for another plan";
}

TEST_F(ProcessSignalTest, TheEffectIsReadBack) {
  sensor.looks_alive = 3;
  struct Case {
    GuestSignal signal;
    ProcessFate fate;
    ResponseStatus status;
  };
  for (const Case &each :
       {Case{GuestSignal::Stop, ProcessFate::Stopped, ResponseStatus::Suspended},
        Case{GuestSignal::Stop, ProcessFate::Uninterruptible, ResponseStatus::Pending},
        Case{GuestSignal::Stop, ProcessFate::Gone, ResponseStatus::NotPossible},
        Case{GuestSignal::Continue, ProcessFate::Alive, ResponseStatus::Done},
        Case{GuestSignal::Kill, ProcessFate::Uninterruptible, ResponseStatus::Pending},
        Case{GuestSignal::Kill, ProcessFate::Exited, ResponseStatus::Killed}}) {
    sensor.looks = 0;
    sensor.end = each.fate;
    ProcessSignal way(process, each.signal, hands, limits);
    const auto done = way.prove();
    EXPECT_EQ(done.status, each.status) << to_string(each.fate);
    EXPECT_EQ(done.reason.empty(),
              each.status == ResponseStatus::Suspended || each.status == ResponseStatus::Done)
        << done.reason;
  }
}

} // namespace
} // namespace outguard::respond
