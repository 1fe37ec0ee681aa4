#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/linux/linux_guest.h"
#include "guest/testing/linux_image.h"
#include "guest/testing/views_builder.h"

namespace outguard::guest {
namespace {

struct CrossViewsTest : testing::Test {
  ViewsBuilder &views() {
    if (!views_) {
      views_.emplace(image);
    }
    return *views_;
  }
  ProcessesSeen look(ViewScope scope = ViewScope::Kernel) {
    static_cast<void>(views());
    return LinuxGuest::attach(image.kernel())->processes(scope);
  }
  static const ProcessSeen *row_in(const ProcessesSeen &seen, GuestVirtual task) {
    const auto found = std::ranges::find_if(
        seen.processes, [&](const auto &row) { return row.identity.task == task.raw(); });
    return found == seen.processes.end() ? nullptr : &*found;
  }
  static std::vector<std::string> absent_from(const ProcessSeen &row) {
    std::vector<std::string> names;
    for (std::size_t index = 0; index < kProcessViews; ++index) {
      const auto view = static_cast<ProcessView>(index);
      if (row.views_asked.has(view) && !row.views_seen.has(view)) {
        names.emplace_back(to_string(view));
      }
    }
    return names;
  }
  /// It is listed, hidden, and missing from these views alone; nobody else is hidden.
  void expect_hidden(GuestVirtual task, const std::vector<std::string> &from) {
    const auto seen = look();
    EXPECT_TRUE(seen.completeness.complete());
    const ProcessSeen *row = row_in(seen, task);
    ASSERT_NE(row, nullptr);
    EXPECT_EQ(row->hidden, true);
    EXPECT_EQ(absent_from(*row), from);
    EXPECT_EQ(row->comm.raw(), "evil");
    EXPECT_EQ(row->exe.value().raw(), "/bin/evil");
    for (const ProcessSeen &other : seen.processes) {
      if (&other != row) {
        EXPECT_EQ(other.hidden, false) << other.comm.raw();
      }
    }
  }

  LinuxImage image;
  GuestVirtual shell = image.add_process({.pid = 70, .comm = "shell"});
  GuestVirtual evil =
      image.add_process({.pid = 666, .comm = "evil", .parent = shell, .exe = "/bin/evil"});
  GuestVirtual last = image.add_process({.pid = 700, .comm = "last"});

private:
  std::optional<ViewsBuilder> views_;
};

TEST_F(CrossViewsTest, NobodyIsHidden) {
  image.add_thread(shell, 71);
  const auto seen = look();
  EXPECT_TRUE(seen.completeness.complete());
  ASSERT_EQ(seen.processes.size(), 4U);
  for (const ProcessSeen &row : seen.processes) {
    EXPECT_EQ(row.hidden, false) << row.comm.raw();
    EXPECT_EQ(absent_from(row), std::vector<std::string>{}) << row.comm.raw();
    for (const ProcessView view :
         {ProcessView::TaskList, ProcessView::PidTable, ProcessView::ThreadList,
          ProcessView::ParentList, ProcessView::Cgroup}) {
      EXPECT_TRUE(row.views_asked.has(view)) << to_string(view);
    }
    EXPECT_FALSE(row.views_asked.has(ProcessView::RunQueue)); // asleep: nothing to say
  }
}

TEST_F(CrossViewsTest, NotAskedIsNotCompared) {
  for (const ProcessSeen &row : look(ViewScope::None).processes) {
    EXPECT_FALSE(row.hidden);
    EXPECT_TRUE(row.views_asked.empty());
  }
}

TEST_F(CrossViewsTest, OutOfTheTaskList) {
  views().unlink(evil, "tasks");
  expect_hidden(evil, {"task_list"});
}

TEST_F(CrossViewsTest, OutOfThePidTable) {
  views().clear_number(evil);
  expect_hidden(evil, {"pid_table"});
}

TEST_F(CrossViewsTest, OutOfTheListOfProcessesOfItsNumber) {
  static_cast<void>(views()); // kill(2) and /proc look there; the thread's own entry stays
  const GuestVirtual number(image.get(evil, "task_struct", "thread_pid"));
  image.builder().put(image.at(number, "pid", "tasks").plus_wrapping(8), std::uint64_t{0});
  expect_hidden(evil, {"pid_table"});
}

TEST_F(CrossViewsTest, OutOfItsParentsChildren) {
  views().unlink(evil, "sibling");
  expect_hidden(evil, {"parent_list"});
}

TEST_F(CrossViewsTest, OutOfItsCgroup) {
  views().unlink(evil, "cg_list");
  expect_hidden(evil, {"cgroup"});
}

TEST_F(CrossViewsTest, OutOfItsThreadList) {
  views().unlink(evil, "thread_node");
  expect_hidden(evil, {"thread_list"});
}

TEST_F(CrossViewsTest, OutOfListAndTableAndChildren) {
  views().unlink(evil, "tasks");
  views().unlink(evil, "sibling");
  views().clear_number(evil);
  expect_hidden(evil, {"task_list", "pid_table", "parent_list"});
}

TEST_F(CrossViewsTest, OnlyARunQueueHasIt) {
  for (const char *node : {"tasks", "sibling", "cg_list"}) {
    views().unlink(evil, node);
  }
  views().clear_number(evil);
  views().run(evil);
  const auto seen = look();
  const ProcessSeen *row = row_in(seen, evil);
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->hidden, true);
  EXPECT_TRUE(row->views_seen.has(ProcessView::RunQueue));
}

TEST_F(CrossViewsTest, AHiddenThreadMarksItsProcess) {
  const GuestVirtual thread = image.add_thread(evil, 667);
  views().clear_number(thread);
  expect_hidden(evil, {"pid_table"});
}

TEST_F(CrossViewsTest, APidNamespaceOfItsOwn) {
  image.nest_pid(evil, 1, 4026532300);
  const auto seen = look();
  EXPECT_EQ(row_in(seen, evil)->hidden, false);
}

TEST_F(CrossViewsTest, OutOfTheTableOfItsOwnNamespaceAlone) {
  image.nest_pid(evil, 1, 4026532300);
  static_cast<void>(views());
  const GuestVirtual number(image.get(evil, "task_struct", "thread_pid"));
  const GuestVirtual inner = image.at(number, "pid", "numbers").plus_wrapping(16);
  const GuestVirtual space(image.get(inner, "upid", "ns"));
  image.set(space, "pid_namespace", "idr.idr_rt.xa_head", 0);
  // Nothing leads to that table's slots any more; the root table has the process and says that it
  // has a second number.
  expect_hidden(evil, {"pid_table"});
}

TEST_F(CrossViewsTest, ExitedOrStillBeingMadeIsNotHidden) {
  views().unlink(evil, "tasks");
  image.set(evil, "task_struct", "exit_state", 0x20);
  EXPECT_EQ(row_in(look(), evil), nullptr);
  image.set(evil, "task_struct", "exit_state", 0);
  image.set(evil, "task_struct", "__state", 0x800); // TASK_NEW
  for (const ProcessSeen &row : look().processes) {
    EXPECT_NE(row.hidden, true) << row.comm.raw();
  }
}

TEST_F(CrossViewsTest, AnExitingProcessHasLeftItsCgroup) {
  views().unlink(evil, "cg_list");
  image.set(evil, "task_struct", "flags", 0x4); // PF_EXITING
  EXPECT_EQ(row_in(look(), evil)->hidden, false);
}

TEST_F(CrossViewsTest, WhileTheListsAreLockedNobodyIsAccused) {
  views().unlink(evil, "tasks");
  image.builder().put(views().tasklist_lock(), std::uint64_t{0xff}); // a writer is at it
  const auto seen = look();
  const ProcessSeen *row = row_in(seen, evil); // the pid table leads to it
  ASSERT_NE(row, nullptr);
  EXPECT_FALSE(row->hidden);
  image.builder().put(views().tasklist_lock(), std::uint64_t{0x300}); // readers only
  EXPECT_EQ(row_in(look(), evil)->hidden, true);
}

TEST_F(CrossViewsTest, WhereALockIsNotKnownNobodyIsAccused) {
  views().unlink(evil, "tasks");
  image.types().remove_type("qrwlock"); // as with PREEMPT_RT
  const auto seen = look();
  ASSERT_NE(row_in(seen, evil), nullptr);
  EXPECT_FALSE(row_in(seen, evil)->hidden);
  EXPECT_THAT(LinuxGuest::attach(image.kernel())->gaps(),
              testing::Contains("hidden: the kernel lacks qrwlock"));
}

TEST_F(CrossViewsTest, NotComparedForWantOfABudgetIsSaid) {
  static_cast<void>(views());
  const auto seen = LinuxGuest::attach(image.kernel(), {3, 1U << 20})->processes(ViewScope::Kernel);
  EXPECT_FALSE(seen.completeness.complete());
}

TEST_F(CrossViewsTest, RamFullOfFalseTasksEndsTheScanAlone) {
  static_cast<void>(views());
  constexpr std::size_t kPages = 64; // with a candidate in every 64 bytes
  const GuestVirtual decoys = image.builder().allocate(kPages * 4096);
  for (std::size_t word = 0; word < kPages * 512; ++word) {
    image.builder().put_pointer(decoys.plus_wrapping(word * 8), decoys);
  }
  const auto seen =
      LinuxGuest::attach(image.kernel(), {3000, 64U << 20})->processes(ViewScope::Memory);
  EXPECT_EQ(seen.completeness.reason, PartialReason::BudgetExhausted);
  const ProcessSeen *row = row_in(seen, shell);
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->hidden, false); // compared all the same
}

TEST_F(CrossViewsTest, ABrokenViewAccusesNobody) {
  // The task list breaks off behind the shell: what follows is not in it, and not hidden.
  static_cast<void>(views());
  image.builder().put(image.at(shell, "task_struct", "tasks"), std::uint64_t{0xdead'0000});
  const auto seen = look();
  EXPECT_FALSE(seen.completeness.complete());
  for (const ProcessSeen &row : seen.processes) {
    EXPECT_NE(row.hidden, true) << row.comm.raw();
  }
}

TEST_F(CrossViewsTest, HiddenProcessesAreFoundWithoutComparing) {
  views().unlink(evil, "tasks");
  EXPECT_NE(row_in(look(ViewScope::None), evil), nullptr); // by its number
  views().clear_number(evil);
  EXPECT_NE(row_in(look(ViewScope::None), evil), nullptr); // by its parent
}

TEST_F(CrossViewsTest, AHiddenProcessOwnsItsSocketAndCanBeEnded) {
  const auto socket = image.add_socket({.local = Endpoint::parse("10.0.0.1:1000").value(),
                                        .remote = Endpoint::parse("10.0.0.2:80").value()});
  image.hold(evil, 3, socket);
  views().unlink(evil, "tasks");
  views().clear_number(evil);
  auto guest = LinuxGuest::attach(image.kernel()).value();
  const auto sockets = guest.sockets();
  ASSERT_EQ(sockets.sockets.size(), 1U);
  ASSERT_EQ(sockets.sockets[0].owners.size(), 1U);
  EXPECT_EQ(sockets.sockets[0].owners[0].process.pid, 666);
  const ProcessIdentity identity = sockets.sockets[0].owners[0].process;
  EXPECT_EQ(guest.fate(identity), ProcessFate::Alive);
  EXPECT_TRUE(guest.plan_kill(identity));
  image.set(evil, "task_struct", "exit_state", 0x10);
  image.set(evil, "task_struct", "sighand", 0);
  EXPECT_NE(guest.fate(identity), ProcessFate::Alive);
}

TEST_F(CrossViewsTest, TheScanFindsWhatNoListHas) {
  for (const char *node : {"tasks", "sibling", "cg_list"}) {
    views().unlink(evil, node);
  }
  views().clear_number(evil);
  EXPECT_EQ(row_in(look(), evil), nullptr);
  const auto seen = look(ViewScope::Memory);
  const ProcessSeen *row = row_in(seen, evil);
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->hidden, true);
  EXPECT_TRUE(row->views_seen.has(ProcessView::Scan));
}

TEST_F(CrossViewsTest, TheScanLeavesOutWhatWasReleased) {
  for (const char *node : {"tasks", "sibling", "cg_list"}) {
    views().unlink(evil, node);
  }
  views().clear_number(evil);
  image.set(evil, "task_struct", "sighand", 0); // release_task() took it
  EXPECT_EQ(row_in(look(ViewScope::Memory), evil), nullptr);
}

TEST_F(CrossViewsTest, ACircleOfChildrenEnds) {
  static_cast<void>(views());
  const GuestVirtual node = image.at(evil, "task_struct", "sibling");
  image.builder().put_pointer(node, node);
  const auto seen = look();
  EXPECT_FALSE(seen.completeness.complete());
  EXPECT_LE(seen.processes.size(), 4U);
}

} // namespace
} // namespace outguard::guest
