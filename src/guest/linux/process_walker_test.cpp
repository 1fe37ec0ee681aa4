#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/linux/linux_guest.h"
#include "guest/linux/process_walker.h"
#include "guest/testing/linux_image.h"

namespace outguard::guest {
namespace {

using testing::ElementsAre;

struct ProcessWalkerTest : testing::Test {
  ProcessesSeen walk() { return LinuxGuest::attach(image.kernel())->processes(); }
  ProcessSeen see(GuestVirtual task) {
    const auto seen = walk();
    const auto found = std::ranges::find_if(
        seen.processes, [&](const auto &row) { return row.identity.task == task.raw(); });
    EXPECT_NE(found, seen.processes.end());
    return found == seen.processes.end() ? ProcessSeen{} : *found;
  }

  LinuxImage image;
};

TEST_F(ProcessWalkerTest, TellsEverythingAboutAProcess) {
  const GuestVirtual net = image.add_namespace(4026532118);
  const GuestVirtual task = image.add_process({.pid = 42,
                                               .comm = "updater",
                                               .parent = image.init_process(),
                                               .exe = "/usr/bin/updater",
                                               .arguments = {"updater", "", "--fast"},
                                               .uid = 1000,
                                               .net = net});
  const auto seen = see(task);
  EXPECT_EQ(seen.identity.pid, 42);
  EXPECT_EQ(seen.ppid, 1);
  EXPECT_EQ(seen.comm.raw(), "updater");
  EXPECT_EQ(seen.exe.value().raw(), "/usr/bin/updater");
  EXPECT_EQ(seen.exe_deleted, false);
  EXPECT_THAT(seen.cmdline.value(),
              ElementsAre(GuestText("updater"), GuestText(""), GuestText("--fast")));
  ASSERT_TRUE(seen.credentials);
  EXPECT_EQ(seen.credentials->uid, 1000U);
  EXPECT_EQ(seen.namespaces.net, 4026532118U);
  EXPECT_EQ(seen.threads, 1U);
  EXPECT_EQ(seen.state, 'S');
  EXPECT_FALSE(seen.kernel_thread || seen.exited || seen.torn);
  EXPECT_EQ(seen.start_time_ns,
            static_cast<std::int64_t>(LinuxImage::kBootTimeNs + seen.identity.start_boottime_ns));
}

TEST_F(ProcessWalkerTest, ListsAllButTheIdleTaskOldestFirst) {
  for (std::int32_t pid = 50; pid < 60; ++pid) {
    image.add_process({.pid = pid});
  }
  const auto seen = walk();
  EXPECT_TRUE(seen.completeness.complete());
  ASSERT_EQ(seen.processes.size(), 11U);
  EXPECT_EQ(seen.processes.front().identity.pid, 1);
  EXPECT_EQ(seen.processes.back().identity.pid, 59);
}

TEST_F(ProcessWalkerTest, KernelThreadsAndZombies) {
  const auto worker = see(image.add_process(
      {.pid = 7, .comm = "kworker/0:1", .exe = "", .state = 0x402, .flags = 0x200000}));
  EXPECT_TRUE(worker.kernel_thread);
  EXPECT_EQ(worker.state, 'I');
  EXPECT_FALSE(worker.exe);
  EXPECT_TRUE(worker.cmdline.value().empty());
  const auto zombie =
      see(image.add_process({.pid = 8, .exe = "", .state = 0x80, .exit_state = 0x20}));
  EXPECT_TRUE(zombie.exited);
  EXPECT_EQ(zombie.state, 'Z');
}

TEST_F(ProcessWalkerTest, ALeaderThatEndedBeforeItsThreadsHasNotExited) {
  const GuestVirtual task = image.add_process({.pid = 9, .exit_state = 0x20});
  image.add_thread(task, 10);
  const auto seen = see(task);
  EXPECT_EQ(seen.state, 'Z');
  EXPECT_FALSE(seen.exited);
}

TEST_F(ProcessWalkerTest, StateLettersAsInProc) {
  for (const auto &[state, letter] : {std::pair<std::uint32_t, char>{0, 'R'},
                                      {1, 'S'},
                                      {2, 'D'},
                                      {4, 'T'},
                                      {8, 't'},
                                      {0x40, 'P'},
                                      {0x402, 'I'},
                                      {0x102, 'D'},
                                      {0x1000, 'D'}}) {
    Task task;
    task.state = state;
    EXPECT_EQ(task.state_letter(), letter) << state;
  }
  Task dead;
  dead.exit_state = 0x10;
  EXPECT_EQ(dead.state_letter(), 'X');
}

TEST_F(ProcessWalkerTest, PathsCrossMountsAndLongNames) {
  image.mount_at("/srv/data");
  const std::string name(200, 'n');
  EXPECT_EQ(see(image.add_process({.exe = "/srv/data/app/" + name})).exe.value().raw(),
            "/srv/data/app/" + name);
}

TEST_F(ProcessWalkerTest, ADeletedExecutable) {
  const GuestVirtual task = image.add_process({.exe = "/tmp/gone"});
  image.set(image.dentry("/tmp/gone"), "dentry", "d_hash.pprev", 0);
  const auto seen = see(task);
  EXPECT_EQ(seen.exe.value().raw(), "/tmp/gone");
  EXPECT_EQ(seen.exe_deleted, true);
}

TEST_F(ProcessWalkerTest, AnExecutableThatNeverHadAName) {
  const GuestVirtual task = image.add_process({.exe = "/memfd:x"});
  const GuestVirtual dentry = image.dentry("/memfd:x");
  image.set(dentry, "dentry", "d_parent", dentry.raw());
  const auto seen = see(task);
  EXPECT_EQ(seen.exe.value().raw(), "/memfd:x");
  EXPECT_EQ(seen.exe_deleted, true);
}

TEST_F(ProcessWalkerTest, APathWithoutEndIsUnknown) {
  const GuestVirtual task = image.add_process({.exe = "/a/b"});
  image.set(image.dentry("/a"), "dentry", "d_parent", image.dentry("/a/b").raw());
  EXPECT_FALSE(see(task).exe);
}

TEST_F(ProcessWalkerTest, ArgumentsThatAreNotResidentAreUnknown) {
  const GuestVirtual task = image.add_process({});
  const GuestVirtual mm(image.get(task, "task_struct", "mm"));
  image.set(mm, "mm_struct", "arg_end", image.get(mm, "mm_struct", "arg_start") + 6000);
  EXPECT_FALSE(see(task).cmdline); // the second page is not there
  image.set(mm, "mm_struct", "arg_start", 0x5000'0000);
  EXPECT_FALSE(see(task).cmdline);
}

TEST_F(ProcessWalkerTest, ATitleInPlaceOfArguments) {
  const GuestVirtual task = image.add_process({.arguments = {"title", "rest"}});
  const GuestVirtual mm(image.get(task, "task_struct", "mm"));
  image.set(mm, "mm_struct", "arg_end", image.get(mm, "mm_struct", "arg_end") - 1);
  EXPECT_THAT(see(task).cmdline.value(), ElementsAre(GuestText("title")));
}

TEST_F(ProcessWalkerTest, ATitleMayGoOnBehindTheArguments) {
  const GuestVirtual task = image.add_process({.arguments = {"worker: a long title", "PATH=/"}});
  const GuestVirtual mm(image.get(task, "task_struct", "mm"));
  image.set(mm, "mm_struct", "arg_end", image.get(mm, "mm_struct", "arg_start") + 7);
  EXPECT_THAT(see(task).cmdline.value(), ElementsAre(GuestText("worker: a long title")));
}

TEST_F(ProcessWalkerTest, ArgumentsBeyondTheCapAreCutAndSaySo) {
  std::vector<std::string> most(1024, "x");
  EXPECT_FALSE(see(image.add_process({.arguments = most})).cmdline_cut);
  most.emplace_back("y");
  const auto many = see(image.add_process({.arguments = most}));
  EXPECT_TRUE(many.cmdline_cut);
  EXPECT_EQ(many.cmdline.value().size(), 1024U);
  const auto longest = see(image.add_process({.arguments = {std::string(20'000, 'x')}}));
  EXPECT_TRUE(longest.cmdline_cut);
  EXPECT_EQ(longest.cmdline.value().at(0).raw().size(), 16384U);
}

TEST_F(ProcessWalkerTest, AnUnreadableParentIsUnknownAndTheRowTorn) {
  const GuestVirtual task = image.add_process({});
  image.set(task, "task_struct", "real_parent", 0xdead'0000);
  const auto seen = see(task);
  EXPECT_EQ(seen.ppid, std::nullopt);
  EXPECT_TRUE(seen.torn);
  EXPECT_EQ(walk().completeness.reason, PartialReason::KeptChanging); // ps ends with 8
  EXPECT_EQ(walk().completeness.left_out, 1U);
}

TEST_F(ProcessWalkerTest, ABoundFileThatWasDeletedElsewhere) {
  image.mount_at("/mnt");
  const GuestVirtual task = image.add_process({.exe = "/mnt"});
  EXPECT_EQ(see(task).exe_deleted, false);
  const GuestVirtual file = image.dentry("/mnt"); // the root of the mount, and no directory
  image.set(file, "dentry", "d_hash.pprev", 0);
  EXPECT_EQ(see(task).exe_deleted, false); // the top of a file system is never deleted
  image.set(file, "dentry", "d_parent", image.dentry("/srv").raw());
  EXPECT_EQ(see(task).exe_deleted, true);
  EXPECT_EQ(see(task).exe.value().raw(), "/mnt");
}

TEST_F(ProcessWalkerTest, AnUnreadableTaskMakesTheListPartial) {
  image.add_process({.pid = 20});
  const GuestVirtual task = image.add_process({.pid = 21});
  image.builder().put(image.at(task, "task_struct", "tasks"), std::uint64_t{0xdead'0000});
  const auto seen = walk();
  EXPECT_EQ(seen.completeness.reason, PartialReason::Unreadable);
  EXPECT_EQ(seen.processes.size(), 3U);
}

TEST_F(ProcessWalkerTest, MemoryThatGoesAwayAnywhereMakesTheListPartial) {
  image.add_process({.pid = 20});
  auto guest = LinuxGuest::attach(image.kernel()).value();
  FakeMemory &memory = image.builder().memory();
  memory.clear_calls();
  static_cast<void>(guest.processes());
  const std::size_t all = memory.calls().size();
  for (std::size_t count = 0; count < all; ++count) {
    memory.fail_after(count);
    EXPECT_FALSE(guest.processes().completeness.complete()) << count;
  }
}

TEST_F(ProcessWalkerTest, ALiveProcessThatCannotBeReadHasNotExited) {
  const GuestVirtual task = image.add_process({.pid = 20});
  const LinuxLayout layout = LinuxLayout::bind(image.types()).value();
  const TaskList tasks(layout.task, layout.signal, image.init_task());
  const GuestClock clock(layout.clock, image.symbols());
  const LinuxProcessWalker walker(layout, image.types(), tasks, clock);
  const AddressSpace space = image.builder().space();
  KernelReader enough(space, LinuxGuest::kCallBudget), none(space, WalkBudget(0, 0));
  const Task seen = tasks.read(task, enough).value();
  EXPECT_FALSE(walker.describe_or_remember(seen, none).exited);
  EXPECT_TRUE(walker.describe_or_remember(seen, none).torn);
  image.set(task, "task_struct", "start_boottime", 5);
  EXPECT_TRUE(walker.describe_or_remember(seen, enough).exited);
}

TEST_F(ProcessWalkerTest, ACyclicListEnds) {
  const GuestVirtual first = image.add_process({.pid = 20});
  const GuestVirtual last = image.add_process({.pid = 21});
  image.builder().put_pointer(image.at(last, "task_struct", "tasks"),
                              image.at(first, "task_struct", "tasks"));
  const auto seen = walk();
  EXPECT_EQ(seen.completeness.reason, PartialReason::ListBroken);
  EXPECT_LE(seen.processes.size(), 6U);
}

TEST_F(ProcessWalkerTest, AncestorsParentFirst) {
  const GuestVirtual shell = image.add_process({.pid = 30, .comm = "shell"});
  const GuestVirtual child = image.add_process({.pid = 31, .comm = "child", .parent = shell});
  auto guest = LinuxGuest::attach(image.kernel()).value();
  const auto found = guest.describe(31).value();
  ASSERT_EQ(found.ancestors.size(), 2U);
  EXPECT_EQ(found.ancestors[0].comm.raw(), "shell");
  EXPECT_EQ(found.ancestors[1].pid, 1);
  EXPECT_FALSE(found.ancestors_cut);
  image.set(shell, "task_struct", "real_parent", 0xdead'0000);
  const auto cut = guest.describe(31).value();
  ASSERT_EQ(cut.ancestors.size(), 1U);
  EXPECT_TRUE(cut.ancestors_cut) << "who started the shell could not be read";
  EXPECT_FALSE(guest.describe(1).value().ancestors_cut) << "nobody started it";
  static_cast<void>(child);
}

TEST_F(ProcessWalkerTest, AnAttributionIsBroughtUpToDate) {
  const GuestVirtual shell = image.add_process({.pid = 30, .comm = "shell"});
  const GuestVirtual first = image.add_process({.pid = 31, .comm = "loader", .parent = shell});
  const GuestVirtual second = image.add_process({.pid = 32, .comm = "stays"});
  const GuestVirtual third = image.add_process({.pid = 33, .comm = "ends"});
  const GuestVirtual other =
      image.add_process({.pid = 40, .exe = "/tmp/payload", .arguments = {"payload"}});
  auto guest = LinuxGuest::attach(image.kernel()).value();
  Attribution attribution;
  for (const GuestVirtual task : {first, second, third}) {
    attribution.processes.push_back(see(task));
  }
  image.set(first, "task_struct", "mm", image.get(other, "task_struct", "mm")); // execve
  image.set(third, "task_struct", "start_boottime", 1); // its task is another process's
  guest.bring_up_to_date(attribution);
  const auto &now = attribution.processes;
  EXPECT_EQ(now[0].exe, GuestText("/tmp/payload"));
  EXPECT_EQ(now[0].cmdline->at(0), GuestText("payload"));
  EXPECT_EQ(now[0].earlier_exe, GuestText("/bin/demo"));
  EXPECT_EQ(now[1].exe, GuestText("/bin/demo"));
  EXPECT_FALSE(now[1].earlier_exe);
  EXPECT_EQ(now[2].comm, GuestText("ends"));
  EXPECT_EQ(now[2].exe, GuestText("/bin/demo")) << "of one that ended, what was known stays";
  EXPECT_FALSE(now[2].earlier_exe);
  ASSERT_EQ(attribution.ancestors.size(), 2U);
  EXPECT_EQ(attribution.ancestors[0].pid, 30);

  image.set(first, "task_struct", "start_boottime", 1);
  guest.bring_up_to_date(attribution);
  EXPECT_EQ(attribution.ancestors.size(), 2U) << "it ended: who started it is still known";
}

TEST_F(ProcessWalkerTest, OfAProcessThatIsEndingStaysWhatWasKnown) {
  const GuestVirtual ending = image.add_process({.pid = 31, .comm = "client"});
  auto guest = LinuxGuest::attach(image.kernel()).value();
  Attribution attribution;
  attribution.processes = {see(ending)};
  image.set(ending, "task_struct", "mm", 0); // exit_mm(); exit_files() and exit_notify() follow
  guest.bring_up_to_date(attribution);
  const ProcessSeen &now = attribution.processes[0];
  EXPECT_EQ(now.exe, GuestText("/bin/demo"));
  EXPECT_FALSE(now.earlier_exe);
  ASSERT_TRUE(now.cmdline);
  EXPECT_FALSE(now.cmdline->empty());
}

TEST_F(ProcessWalkerTest, WhatAProcessRanIsKeptWhereWhatItRunsCannotBeRead) {
  const GuestVirtual task = image.add_process({.pid = 31, .comm = "loader"});
  auto guest = LinuxGuest::attach(image.kernel()).value();
  Attribution attribution;
  attribution.processes = {see(task)};
  image.set(GuestVirtual(image.get(task, "task_struct", "mm")), "mm_struct", "exe_file",
            0xdead'0000);
  guest.bring_up_to_date(attribution);
  EXPECT_FALSE(attribution.processes[0].exe);
  EXPECT_EQ(attribution.processes[0].earlier_exe, GuestText("/bin/demo"));
  guest.bring_up_to_date(attribution);
  EXPECT_EQ(attribution.processes[0].earlier_exe, GuestText("/bin/demo"));
}

TEST_F(ProcessWalkerTest, OneProcessInDepth) {
  const GuestVirtual task = image.add_process({.pid = 30, .comm = "server"});
  image.add_thread(task, 32);
  image.add_thread(task, 31);
  auto guest = LinuxGuest::attach(image.kernel()).value();
  const auto seen = guest.describe(30).value();
  EXPECT_EQ(seen.process.comm.raw(), "server");
  EXPECT_FALSE(seen.process.torn);
  ASSERT_EQ(seen.ancestors.size(), 1U);
  EXPECT_EQ(seen.ancestors[0].pid, 1);
  ASSERT_EQ(seen.threads.size(), 3U);
  EXPECT_EQ(seen.threads[0].tid, 30);
  EXPECT_EQ(seen.threads[1].tid, 32);
  EXPECT_EQ(seen.threads[2].state, 'S');
  EXPECT_EQ(guest.describe(31).error().code, FaultCode::NotFound); // a thread is no process
  image.set(task, "task_struct", "signal", 0xdead'0000);
  EXPECT_TRUE(guest.describe(30).value().process.torn);
}

TEST_F(ProcessWalkerTest, AParentCircleEnds) {
  const GuestVirtual a = image.add_process({.pid = 30});
  image.set(a, "task_struct", "real_parent", a.raw());
  auto guest = LinuxGuest::attach(image.kernel()).value();
  const auto seen = guest.describe(30).value();
  EXPECT_LE(seen.ancestors.size(), 64U);
  EXPECT_TRUE(seen.ancestors_cut);
}

TEST_F(ProcessWalkerTest, AnImplausibleClockIsNoClock) {
  const GuestVirtual core = image.symbols().find("tk_core").value();
  image.set(core.plus_wrapping(8), "timekeeper", "offs_real", 12345);
  EXPECT_FALSE(see(image.init_process()).start_time_ns);
}

} // namespace
} // namespace outguard::guest
