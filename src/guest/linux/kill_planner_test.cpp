#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "guest/linux/kill_planner.h"
#include "guest/linux/linux_guest.h"
#include "guest/testing/linux_image.h"

namespace outguard::guest {
namespace {

/// As the supervisor does it: all expectations first, then all writes. False: one did not hold.
bool execute(const WritePlan &plan, FakeMemory &memory) {
  std::vector<std::uint64_t> now(plan.patches.size());
  for (std::size_t index = 0; index < now.size(); ++index) {
    const Patch &patch = plan.patches[index];
    auto *bytes = reinterpret_cast<std::uint8_t *>(&now[index]);
    if (!memory.read(GuestPhysical(patch.address), {bytes, patch.width}) ||
        (now[index] & patch.expect_mask) != patch.expect) {
      return false;
    }
  }
  for (std::size_t index = 0; index < now.size(); ++index) {
    const Patch &patch = plan.patches[index];
    const std::uint64_t value = (now[index] & ~patch.write_mask) | (patch.value & patch.write_mask);
    if (patch.write_mask != 0) {
      memory.write(GuestPhysical(patch.address),
                   {reinterpret_cast<const std::uint8_t *>(&value), patch.width});
    }
  }
  return true;
}

struct KillPlannerTest : testing::Test {
  LinuxGuest attach() { return LinuxGuest::attach(image.kernel()).value(); }
  ProcessIdentity identity(GuestVirtual task) {
    return {static_cast<std::int32_t>(image.get(task, "task_struct", "tgid")),
            image.get(task, "task_struct", "start_boottime"), task.raw()};
  }
  std::uint64_t of_signal(std::string_view member) {
    return image.get(GuestVirtual(image.get(bad, "task_struct", "signal")), "signal_struct",
                     member);
  }
  void set_signal(std::string_view member, std::uint64_t value) {
    image.set(GuestVirtual(image.get(bad, "task_struct", "signal")), "signal_struct", member,
              value);
  }
  KillRefusal refusal(const ProcessIdentity &process) {
    const auto plan = attach().plan_kill(process);
    EXPECT_FALSE(plan);
    return plan ? KillRefusal::Unsupported : plan.error();
  }

  LinuxImage image;
  GuestVirtual bad = image.add_process({.pid = 66, .comm = "bad"});
};

TEST_F(KillPlannerTest, EveryThreadHasTheSignalPendingAndNothingElseChanges) {
  const GuestVirtual thread = image.add_thread(bad, 67);
  set_signal("flags", 1); // SIGNAL_STOP_STOPPED
  image.set(thread, "task_struct", "thread_info.flags", 0x10);
  const auto plan = attach().plan_kill(identity(bad));
  ASSERT_TRUE(plan);
  ASSERT_TRUE(execute(*plan, image.builder().memory()));
  for (const GuestVirtual task : {bad, thread}) {
    EXPECT_EQ(image.get(task, "task_struct", "pending.signal.sig"), 0x100U);
  }
  EXPECT_EQ(image.get(bad, "task_struct", "thread_info.flags"), 1U << LinuxImage::kPendingBit);
  EXPECT_EQ(image.get(thread, "task_struct", "thread_info.flags"), 0x14U);
  EXPECT_EQ(of_signal("flags"), 1U);
  EXPECT_EQ(image.get(image.init_process(), "task_struct", "pending.signal.sig"), 0U);
}

TEST_F(KillPlannerTest, ThePlanNoLongerHoldsOnceAnythingMoved) {
  const auto plan = attach().plan_kill(identity(bad)).value();
  const std::map<std::string, std::uint64_t> changes = {
      {"pid", 5}, {"start_boottime", 5}, {"signal", 5}, {"sighand", 5}};
  for (const auto &[member, value] : changes) {
    const std::uint64_t before = image.get(bad, "task_struct", member);
    image.set(bad, "task_struct", member, value);
    EXPECT_FALSE(execute(plan, image.builder().memory())) << member;
    image.set(bad, "task_struct", member, before);
  }
  set_signal("nr_threads", 2);
  EXPECT_FALSE(execute(plan, image.builder().memory()));
  set_signal("nr_threads", 1);
  const GuestVirtual sighand(image.get(bad, "task_struct", "sighand"));
  image.set(sighand, "sighand_struct", "siglock.rlock.raw_lock.val.counter", 1);
  EXPECT_FALSE(execute(plan, image.builder().memory()));
  image.set(sighand, "sighand_struct", "siglock.rlock.raw_lock.val.counter", 0);
  EXPECT_TRUE(execute(plan, image.builder().memory()));
}

TEST_F(KillPlannerTest, Refusals) {
  EXPECT_EQ(refusal(identity(image.init_process())), KillRefusal::InitProcess);
  const GuestVirtual kernel = image.add_process({.pid = 5, .exe = "", .flags = 0x200000});
  EXPECT_EQ(refusal(identity(kernel)), KillRefusal::KernelThread);
  const GuestVirtual zombie = image.add_process({.pid = 6, .exe = "", .exit_state = 0x20});
  EXPECT_EQ(refusal(identity(zombie)), KillRefusal::AlreadyExiting);
  ProcessIdentity other = identity(bad);
  other.start_boottime_ns += 1;
  EXPECT_EQ(refusal(other), KillRefusal::NoSuchProcess);
  EXPECT_EQ(refusal({0, image.get(image.init_task(), "task_struct", "start_boottime"),
                     image.init_task().raw()}),
            KillRefusal::InitProcess);
  set_signal("nr_threads", 3);
  EXPECT_EQ(refusal(identity(bad)), KillRefusal::Unreadable);
  set_signal("nr_threads", 1);
  set_signal("flags", 4);
  EXPECT_EQ(refusal(identity(bad)), KillRefusal::AlreadyExiting);
}

TEST_F(KillPlannerTest, RefusesWhileTheLockIsHeld) {
  image.set(GuestVirtual(image.get(bad, "task_struct", "sighand")), "sighand_struct",
            "siglock.rlock.raw_lock.val.counter", 0x101);
  EXPECT_EQ(refusal(identity(bad)), KillRefusal::LockHeld);
}

TEST_F(KillPlannerTest, RefusesWhatItCannotDerive) {
  image.symbols().add("signal_wake_up_state", image.builder().allocate(64)); // zeros
  EXPECT_EQ(refusal(identity(bad)), KillRefusal::Unsupported);
}

TEST_F(KillPlannerTest, FindsAProcessWhoseTaskWasReplacedByExec) {
  ProcessIdentity moved = identity(bad);
  moved.task = image.builder().allocate(4096).raw();
  const auto plan = attach().plan_kill(moved);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->process.task, bad.raw());
}

TEST_F(KillPlannerTest, OfVeryManyThreadsThoseThatRunComeFirst) {
  constexpr std::int32_t kThreads = 2000;
  GuestVirtual last;
  for (std::int32_t pid = 1000; pid < 1000 + kThreads; ++pid) {
    last = image.add_thread(bad, pid);
  }
  image.set(last, "task_struct", "__state", 0);
  const auto plan = attach().plan_kill(identity(bad));
  ASSERT_TRUE(plan);
  EXPECT_LE(plan->patches.size(), kMaxPatches);
  EXPECT_GT(plan->patches.size(), kMaxPatches - 3);
  ASSERT_TRUE(execute(*plan, image.builder().memory()));
  EXPECT_EQ(image.get(last, "task_struct", "pending.signal.sig"), 0x100U);
}

TEST_F(KillPlannerTest, Fate) {
  const auto process = identity(bad);
  EXPECT_EQ(attach().fate(process), ProcessFate::Alive);
  const GuestVirtual thread = image.add_thread(bad, 67);
  image.set(bad, "task_struct", "__state", 4);
  image.set(thread, "task_struct", "__state", 1);
  EXPECT_EQ(attach().fate(process), ProcessFate::Alive) << "one of its threads goes on";
  image.set(thread, "task_struct", "__state", 2);
  EXPECT_EQ(attach().fate(process), ProcessFate::Uninterruptible);
  image.set(thread, "task_struct", "__state", 8);
  EXPECT_EQ(attach().fate(process), ProcessFate::Stopped);
  image.set(thread, "task_struct", "exit_state", 0x20);
  image.set(thread, "task_struct", "__state", 0x80);
  EXPECT_EQ(attach().fate(process), ProcessFate::Stopped);
}

TEST_F(KillPlannerTest, FateOfOneThatEnds) {
  const auto process = identity(bad);
  image.set(bad, "task_struct", "exit_state", 0x20);
  EXPECT_EQ(attach().fate(process), ProcessFate::Exited);
  // Unlinked, and its bytes still there: what a freed task_struct looks like.
  const GuestVirtual node = image.at(bad, "task_struct", "tasks");
  const GuestVirtual behind(image.builder().space().read_pointer(node).value());
  const GuestVirtual back(image.builder().space().read_pointer(node.plus_wrapping(8)).value());
  image.builder().put_pointer(back, behind);
  image.builder().put_pointer(behind.plus_wrapping(8), back);
  EXPECT_EQ(attach().fate(process), ProcessFate::Gone);
  for (const std::uint64_t next : {0xdead'0000U, 0U, 1U}) {
    image.builder().put(image.at(image.init_process(), "task_struct", "tasks"),
                        std::uint64_t{next});
    EXPECT_EQ(attach().fate(process), ProcessFate::Unknown) << next;
  }
}

} // namespace
} // namespace outguard::guest
