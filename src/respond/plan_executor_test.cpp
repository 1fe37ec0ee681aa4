#include <atomic>
#include <csignal>
#include <cstdio>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "respond/fakes.h"
#include "respond/plan_executor.h"

namespace outguard::respond {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kA = FakeVm::kFirstPage;
constexpr std::uint64_t kB = FakeVm::kOtherPage + 8;

/// "Where 7 stands at A and 0 at B, write 8 and 9."
WritePlan plan() {
  return {{42, 1, 1}, {{kA, 4, ~0U, 7, ~0U, 8}, {kB, 4, ~0U, 0, ~0U, 9}}};
}
FakeVm vm_with_seven() {
  FakeVm vm;
  vm.set_word(kA, 7);
  return vm;
}

TEST(PlanExecutor, WritesEverythingWhilePausedAndResumes) {
  FakeVm vm = vm_with_seven();
  FakeControl control(vm);
  const auto outcome = execute_plan(control, plan());
  EXPECT_EQ(outcome.status, PlanStatus::Applied) << outcome.reason;
  EXPECT_EQ(vm.word(kA), 8U);
  EXPECT_EQ(vm.word(kB), 9U);
  EXPECT_TRUE(vm.running);
  EXPECT_FALSE(vm.touched_while_running);
  EXPECT_GT(outcome.paused.count(), 0);
}

TEST(PlanExecutor, MasksKeepOtherBits) {
  FakeVm vm;
  vm.set_word(kA, 0xf0f0f0f0);
  FakeControl control(vm);
  const WritePlan bits{{42, 1, 1}, {{kA, 4, 0xf0, 0xf0, 0x0f, 0x05}, {kA, 1, 0, 0, 0x80, 0}}};
  EXPECT_EQ(execute_plan(control, bits).status, PlanStatus::Applied);
  EXPECT_EQ(vm.word(kA), 0xf0f0f075U) << "the second patch starts from what the first wrote";
}

TEST(PlanExecutor, AMismatchWritesNothing) {
  FakeVm vm = vm_with_seven();
  vm.set_word(kB, 1);
  FakeControl control(vm);
  const auto outcome = execute_plan(control, plan());
  EXPECT_EQ(outcome.status, PlanStatus::Mismatch);
  EXPECT_EQ(outcome.index, 1U);
  EXPECT_EQ(vm.writes, 0U);
  EXPECT_TRUE(vm.running);
}

TEST(PlanExecutor, AFailedWriteTakesBackTheOthers) {
  for (const int which : {0, 1}) {
    FakeVm vm = vm_with_seven();
    vm.fail_write = which;
    FakeControl control(vm);
    const auto outcome = execute_plan(control, plan());
    EXPECT_EQ(outcome.status, PlanStatus::Failed);
    EXPECT_EQ(outcome.index, static_cast<std::uint32_t>(which));
    EXPECT_EQ(vm.word(kA), 7U);
    EXPECT_EQ(vm.word(kB), 0U);
    EXPECT_TRUE(vm.running);
  }
}

TEST(PlanExecutor, AWriteThatIsNotThereIsNoSuccess) {
  FakeVm vm = vm_with_seven();
  vm.lose_write = 1;
  FakeControl control(vm);
  EXPECT_EQ(execute_plan(control, plan()).status, PlanStatus::Failed);
  EXPECT_EQ(vm.word(kA), 7U);
}

TEST(PlanExecutor, OutsideRamNothingHappens) {
  FakeVm vm;
  FakeControl control(vm);
  const WritePlan outside{{42, 1, 1}, {{kA, 4, 0, 0, 1, 1}, {0x9000, 4, 0, 0, 1, 1}}};
  EXPECT_EQ(execute_plan(control, outside).status, PlanStatus::Failed);
  EXPECT_EQ(vm.writes, 0U);
  EXPECT_TRUE(vm.running);
}

TEST(PlanExecutor, APausedVmIsLeftAlone) {
  FakeVm vm = vm_with_seven();
  vm.running = false;
  FakeControl control(vm);
  EXPECT_EQ(execute_plan(control, plan()).status, PlanStatus::Refused);
  EXPECT_FALSE(vm.running);
  EXPECT_EQ(vm.writes, 0U);
}

TEST(PlanExecutor, APauseWithoutAnswerIsResumed) {
  FakeVm vm = vm_with_seven();
  vm.fail_pause = true;
  FakeControl control(vm);
  EXPECT_EQ(execute_plan(control, plan()).status, PlanStatus::Failed);
  EXPECT_TRUE(vm.running);
  EXPECT_EQ(vm.writes, 0U);
}

TEST(PlanExecutor, AVmThatMayStandStillIsSaidInTheOutcomeNotInTheLog) {
  FakeVm vm = vm_with_seven();
  vm.fail_pause = true;
  vm.fail_resume = true;
  FakeControl control(vm);
  testing::internal::CaptureStderr();
  const auto outcome = execute_plan(control, plan());
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << "the log's lock may be held for ever";
  EXPECT_EQ(outcome.status, PlanStatus::Failed);
  EXPECT_THAT(outcome.reason, HasSubstr("may be left paused"));
}

TEST(ValidatePlan, RefusesWhatIsNotAPlan) {
  const auto refused = [](const Patch &patch) {
    FakeVm vm;
    FakeControl control(vm);
    const auto outcome = execute_plan(control, {{42, 1, 1}, {{kA, 4, 0, 0, 1, 1}, patch}});
    const bool was_refused = outcome.status == PlanStatus::Refused;
    EXPECT_EQ(vm.pauses, was_refused ? 0U : 1U);
    return was_refused;
  };
  EXPECT_FALSE(refused({kA, 4, 0, 0, 1, 1}));
  EXPECT_TRUE(refused({kA, 3, 0, 0, 1, 1}));
  EXPECT_TRUE(refused({kA, 0, 0, 0, 1, 1}));
  EXPECT_TRUE(refused({kA, 16, 0, 0, 1, 1}));
  EXPECT_TRUE(refused({0x1ffd, 4, 0, 0, 1, 1})) << "crosses a page";
  EXPECT_TRUE(refused({~0ULL, 1, 0, 0, 0, 0})) << "does nothing";
  EXPECT_TRUE(refused({kA, 1, 0x100, 0, 1, 1})) << "mask beyond the width";
  EXPECT_TRUE(refused({kA, 1, 0, 0, 0x100, 0})) << "mask beyond the width";
  EXPECT_TRUE(refused({kA, 4, 1, 2, 1, 1})) << "an expectation that can never hold";
  EXPECT_TRUE(refused({kA, 4, 0, 0, 1, 2})) << "a value outside its mask";

  EXPECT_FALSE(validate_plan({{42, 1, 1}, {}}));
  EXPECT_FALSE(validate_plan({{42, 1, 1}, {{kA, 4, 1, 1, 0, 0}}})) << "writes nothing";
  WritePlan large{{42, 1, 1}, std::vector<Patch>(kMaxPatches, {kA, 4, 0, 0, 1, 1})};
  EXPECT_TRUE(validate_plan(large));
  large.patches.push_back(large.patches.front());
  EXPECT_FALSE(validate_plan(large));
}

/// A VM that a child process sees too.
class GuardedPlan : public testing::Test {
protected:
  /// What the child does to a FakeVm stays in the child, so the proof lies in shared memory.
  struct Shared {
    std::atomic<std::uint32_t> value{7};
    std::atomic<bool> running{true};
  };
  class SharedControl : public hypervisor::VmControl {
  public:
    SharedControl(Shared &shared, bool dies) : shared_(shared), dies_(dies) {}
    Result<hypervisor::RunState> status() override {
      return hypervisor::RunState{shared_.running, "x"};
    }
    Result<void> pause() override {
      shared_.running = false;
      return {};
    }
    Result<void> resume() override {
      shared_.running = true;
      return {};
    }
    Result<void> read(std::uint64_t, std::span<std::uint8_t> out) override {
      const std::uint32_t value = shared_.value;
      std::copy_n(reinterpret_cast<const std::uint8_t *>(&value), out.size(), out.begin());
      return {};
    }
    Result<void> write(std::uint64_t, std::span<const std::uint8_t> bytes) override {
      if (dies_) {
        ::kill(::getpid(), SIGKILL);
      }
      std::uint32_t value = 0;
      std::copy(bytes.begin(), bytes.end(), reinterpret_cast<std::uint8_t *>(&value));
      shared_.value = value;
      return {};
    }

  private:
    Shared &shared_;
    bool dies_;
  };

  void SetUp() override {
    void *page =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(page, MAP_FAILED);
    shared_ = new (page) Shared;
  }
  void TearDown() override { ::munmap(shared_, sizeof(Shared)); }

  const WritePlan plan_{{42, 1, 1}, {{kA, 4, ~0U, 7, ~0U, 8}}};
  Shared *shared_ = nullptr;
};

TEST_F(GuardedPlan, CarriesOutAndReports) {
  SharedControl control(*shared_, false);
  const auto start = monotonic_now();
  const auto outcome = execute_plan_guarded(control, plan_);
  const auto took = monotonic_now() - start;
  EXPECT_EQ(outcome.status, PlanStatus::Applied) << outcome.reason;
  EXPECT_EQ(shared_->value, 8U);
  EXPECT_TRUE(shared_->running);
  EXPECT_GT(outcome.paused.count(), 0);
  std::printf("a guarded plan takes %lld us beside QEMU's own time\n",
              static_cast<long long>(took.count() / 1000));
  EXPECT_EQ(execute_plan_guarded(control, plan_).status, PlanStatus::Mismatch);
}

TEST_F(GuardedPlan, ReasonsComeBack) {
  SharedControl control(*shared_, false);
  const auto outcome = execute_plan_guarded(control, {{42, 1, 1}, {}});
  EXPECT_EQ(outcome.status, PlanStatus::Refused);
  EXPECT_THAT(outcome.reason, HasSubstr("0 patches"));
}

TEST_F(GuardedPlan, IfTheChildDiesTheVmIsResumedHere) {
  SharedControl control(*shared_, true);
  const auto outcome = execute_plan_guarded(control, plan_);
  EXPECT_EQ(outcome.status, PlanStatus::Failed);
  EXPECT_THAT(outcome.reason, HasSubstr("resumed"));
  EXPECT_TRUE(shared_->running);
}

TEST_F(GuardedPlan, IfTheSupervisorDiesTheChildFinishes) {
  const pid_t supervisor = ::fork();
  if (supervisor == 0) {
    SharedControl control(*shared_, false);
    // Dies as the child pauses the VM: from then on the child is alone.
    class Deadly : public SharedControl {
    public:
      Deadly(Shared &shared, pid_t victim) : SharedControl(shared, false), victim_(victim) {}
      Result<void> pause() override {
        ::kill(victim_, SIGKILL);
        return SharedControl::pause();
      }

    private:
      pid_t victim_;
    } deadly(*shared_, ::getpid());
    (void)execute_plan_guarded(deadly, plan_);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(supervisor, &status, 0), supervisor);
  ASSERT_TRUE(WIFSIGNALED(status));
  for (int i = 0; i < 200 && !(shared_->running && shared_->value == 8); ++i) {
    ::usleep(10'000);
  }
  EXPECT_EQ(shared_->value, 8U);
  EXPECT_TRUE(shared_->running);
}

} // namespace
} // namespace outguard::respond
