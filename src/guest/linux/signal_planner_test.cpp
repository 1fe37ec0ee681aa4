#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/linux/linux_guest.h"
#include "guest/testing/linux_image.h"

namespace outguard::guest {
namespace {

using testing::HasSubstr;

struct SignalPlannerTest : testing::Test {
  SignalPlannerTest() {
    image.add_signal_code();
    text = image.symbols().find("_stext").value().raw();
  }
  LinuxGuest attach() { return LinuxGuest::attach(image.kernel()).value(); }
  ProcessIdentity identity(GuestVirtual task) {
    return {static_cast<std::int32_t>(image.get(task, "task_struct", "tgid")),
            image.get(task, "task_struct", "start_boottime"), task.raw()};
  }
  auto plan(GuestVirtual task, GuestSignal signal = GuestSignal::Kill) {
    return attach().plan_signal(identity(task), signal);
  }
  bool identity_holds(const SignalPlan &made) {
    for (const Patch &patch : made.identity) {
      std::uint64_t now = 0;
      auto *bytes = reinterpret_cast<std::uint8_t *>(&now);
      EXPECT_EQ(patch.write_mask, 0U);
      if (!image.builder().memory().read(GuestPhysical(patch.address), {bytes, patch.width}) ||
          (now & patch.expect_mask) != patch.expect) {
        return false;
      }
    }
    return true;
  }

  LinuxImage image;
  std::uint64_t text = 0; ///< where add_signal_code() begins; attaching takes the symbols away
  GuestVirtual bad = image.add_process({.pid = 66, .comm = "bad"});
};

TEST_F(SignalPlannerTest, SaysWhereToStopWhatToCallAndWhereToReturn) {
  const auto made = plan(bad, GuestSignal::Stop);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->process, identity(bad));
  EXPECT_EQ(made->signal, GuestSignal::Stop);
  EXPECT_EQ(made->stop_at, text + 4) << "behind the landing pad";
  EXPECT_EQ(made->hurry_at, text + 64 + 4) << "behind a sealed one";
  EXPECT_EQ(made->function, text + 128);
  EXPECT_EQ(made->return_to, text + 192);
  EXPECT_EQ(made->kernel_begin, text);
  EXPECT_EQ(made->kernel_end, text + 256);
}

TEST_F(SignalPlannerTest, AFunctionWithoutALandingPadIsStoppedAtItsStart) {
  image.symbols().add("hrtimer_interrupt", GuestVirtual(text + 128));
  EXPECT_EQ(plan(bad)->stop_at, text + 128);
}

TEST_F(SignalPlannerTest, TheIdentityNoLongerHoldsOnceTheTaskIsAnother) {
  const auto made = plan(bad).value();
  EXPECT_TRUE(identity_holds(made));
  for (const char *member : {"pid", "tgid", "start_boottime", "signal", "sighand"}) {
    const std::uint64_t before = image.get(bad, "task_struct", member);
    image.set(bad, "task_struct", member, before + 1);
    EXPECT_FALSE(identity_holds(made)) << member;
    image.set(bad, "task_struct", member, before);
  }
}

TEST_F(SignalPlannerTest, ALockThatIsHeldIsNoHindrance) {
  image.set(GuestVirtual(image.get(bad, "task_struct", "sighand")), "sighand_struct",
            "siglock.rlock.raw_lock.val.counter", 0x101);
  EXPECT_TRUE(plan(bad));
}

TEST_F(SignalPlannerTest, Refusals) {
  EXPECT_EQ(plan(image.init_process()).error().refusal, KillRefusal::InitProcess);
  const auto kernel = image.add_process({.pid = 5, .exe = "", .flags = 0x200000});
  EXPECT_EQ(plan(kernel).error().refusal, KillRefusal::KernelThread);
  const auto zombie = image.add_process({.pid = 6, .exe = "", .exit_state = 0x20});
  EXPECT_EQ(plan(zombie).error().refusal, KillRefusal::AlreadyExiting);
  ProcessIdentity other = identity(bad);
  other.start_boottime_ns += 1;
  EXPECT_EQ(attach().plan_signal(other, GuestSignal::Kill).error().refusal,
            KillRefusal::NoSuchProcess);
  image.set(GuestVirtual(image.get(bad, "task_struct", "signal")), "signal_struct", "flags", 4);
  EXPECT_EQ(plan(bad).error().refusal, KillRefusal::AlreadyExiting);
}

TEST_F(SignalPlannerTest, AKernelThatCannotBeCalledSaysWhy) {
  image.symbols().add("restore_regs_and_return_to_kernel", GuestVirtual(text));
  EXPECT_THAT(plan(bad).error().reason, HasSubstr("restoring registers"));
}

TEST_F(SignalPlannerTest, ARealTimeKernelIsRefused) {
  image.symbols().add("rt_spin_lock", GuestVirtual(text));
  const auto refused = plan(bad).error();
  EXPECT_EQ(refused.refusal, KillRefusal::Unsupported);
  EXPECT_THAT(refused.reason, HasSubstr("PREEMPT_RT"));
}

TEST_F(SignalPlannerTest, AMissingSymbolIsNamed) {
  for (const char *name :
       {"hrtimer_interrupt", "do_send_sig_info", "_etext", "restore_regs_and_return_to_kernel"}) {
    LinuxImage lacking;
    lacking.add_signal_code();
    lacking.symbols().remove(name);
    const auto task = lacking.add_process({.pid = 66, .comm = "bad"});
    const ProcessIdentity process{66, lacking.get(task, "task_struct", "start_boottime"),
                                  task.raw()};
    const auto made =
        LinuxGuest::attach(lacking.kernel()).value().plan_signal(process, GuestSignal::Kill);
    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().refusal, KillRefusal::Unsupported);
    EXPECT_THAT(made.error().reason, HasSubstr(name));
  }
}

TEST_F(SignalPlannerTest, WithoutAPlaceToHurryByItIsSlowerAndNoMore) {
  image.symbols().remove("__common_interrupt");
  EXPECT_EQ(plan(bad).value().hurry_at, 0U);
}

} // namespace
} // namespace outguard::guest
