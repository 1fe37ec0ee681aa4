// A guest that changes at any moment of a walk, before memory whose pages are kept and before
// memory whose are not: what is told held at one moment, whenever the change comes.
#include <gtest/gtest.h>

#include "guest/linux/linux_guest.h"
#include "guest/testing/linux_image.h"

namespace outguard::guest {
namespace {

Endpoint end(std::string_view text) {
  return Endpoint::parse(text).value();
}

enum class Memory { Mapped, Costly };

void use(Memory memory, LinuxImage &image) {
  if (memory == Memory::Costly) {
    image.builder().memory().make_costly();
  }
}

/// Asks, and changes the guest before read number `moment`; false: there is no such read any more.
template <class Change, class Ask>
bool changes_at(std::size_t moment, LinuxImage &image, Change change, Ask ask) {
  FakeMemory &memory = image.builder().memory();
  memory.clear_calls();
  bool changed = false;
  memory.before_read([&](std::size_t number) {
    if (number == moment && !changed) {
      changed = true;
      memory.before_read({});
      change();
    }
  });
  ask();
  memory.before_read({});
  return changed;
}

/// "web" holds descriptor 3; at one moment it closes it, and "other" opens a socket that gets the
/// very same struct file, socket and sock, as the slab allocators give back what was freed last.
class Reuse {
public:
  Reuse(Memory memory, SocketSpec before, Endpoint after) : after_(after) {
    use(memory, image_);
    image_.hold_plain_file(web_, 0);
    image_.hold_plain_file(other_, 0);
    made_ = image_.add_socket(before);
    file_ = image_.hold(web_, 3, made_);
    image_.put_descriptor(other_, 4, file_);
    other_slot_ = slot(other_, 4);
    image_.builder().put_pointer(other_slot_, {});
  }

  /// The table when the change comes before read number `moment`; false once there is no such read.
  bool walk_with_change_at(std::size_t moment, SocketsSeen &seen) {
    auto guest = LinuxGuest::attach(image_.kernel());
    static_cast<void>(guest->sockets()); // pages fetched along are those of use the last time
    return changes_at(
        moment, image_, [this] { change(); }, [&] { seen = guest->sockets(); });
  }

private:
  GuestVirtual slot(GuestVirtual task, std::uint32_t fd) {
    const GuestVirtual files(image_.get(task, "task_struct", "files"));
    const GuestVirtual table(image_.get(files, "files_struct", "fdt"));
    return GuestVirtual(image_.get(table, "fdtable", "fd")).plus_wrapping(std::uint64_t{fd} * 8);
  }
  void change() {
    image_.builder().put_pointer(slot(web_, 3), {});
    image_.set(made_.sock, "sock_common", "skc_num", after_.port);
    image_.builder().put_pointer(other_slot_, file_);
  }

  LinuxImage image_;
  GuestVirtual web_ = image_.add_process({.pid = 80, .comm = "web"});
  GuestVirtual other_ = image_.add_process({.pid = 81, .comm = "other"});
  SocketObjects made_;
  GuestVirtual file_, other_slot_;
  Endpoint after_;
};

struct GenerationsTest : testing::TestWithParam<Memory> {
  /// Tries every moment. Each row must be the old connection of web or the new one of other.
  static void check(const SocketSpec &before, const Endpoint &after) {
    std::size_t moment = 0;
    std::size_t of_web = 0;
    std::size_t of_other = 0;
    for (bool changed = true; changed; ++moment) {
      SocketsSeen seen;
      Reuse guest(GetParam(), before, after);
      changed = guest.walk_with_change_at(moment, seen);
      for (const auto *rows : {&seen.sockets, &seen.unbound}) {
        for (const SocketSeen &row : *rows) {
          for (const SocketOwner &owner : row.owners) {
            const bool is_web = owner.process.pid == 80;
            ASSERT_EQ(row.local.port, is_web ? before.local.port : after.port)
                << "told of pid " << owner.process.pid << " when all changed at read " << moment;
            ++(is_web ? of_web : of_other);
          }
        }
      }
    }
    EXPECT_GT(of_web, 0U);   // changed after the last look
    EXPECT_GT(of_other, 0U); // changed before the first
    EXPECT_GT(moment, 20U);
  }
};

TEST_P(GenerationsTest, ASockReusedForAnotherConnectionIsNeverToldWithTheOldOwner) {
  check({.local = end("10.0.0.1:50000"), .remote = end("203.0.113.66:4444")},
        end("10.0.0.1:50001"));
}

TEST_P(GenerationsTest, NorOneThatIsInNoTable) {
  check({.protocol = 17,
         .type = 2,
         .state = 7,
         .local = end("10.0.0.1:5000"),
         .remote = end("0.0.0.0:0"),
         .in_table = false},
        end("10.0.0.1:5001"));
}

TEST_P(GenerationsTest, AProcessThatEndedIsNotToldWithAnothersProgram) {
  bool changed = true;
  for (std::size_t moment = 0; changed; ++moment) {
    LinuxImage image;
    use(GetParam(), image);
    const GuestVirtual task =
        image.add_process({.pid = 80, .comm = "old", .exe = "/bin/old", .uid = 1000});
    const GuestVirtual next =
        image.add_process({.pid = 81, .comm = "new", .exe = "/bin/new", .uid = 0});
    auto guest = LinuxGuest::attach(image.kernel());
    ProcessesSeen seen;
    const auto change = [&] {
      image.set(task, "task_struct", "mm", image.get(next, "task_struct", "mm")); // exec
      image.set(task, "task_struct", "start_boottime", 77);                       // reused
      image.set(task, "task_struct", "pid", 82);
      image.set(task, "task_struct", "tgid", 82);
      image.set(task, "task_struct", "real_cred", image.get(next, "task_struct", "real_cred"));
    };
    changed = changes_at(moment, image, change, [&] { seen = guest->processes(); });
    for (const ProcessSeen &row : seen.processes) {
      if (row.identity.pid == 80 || row.identity.pid == 82) {
        ASSERT_TRUE(row.exe);
        EXPECT_EQ(row.exe->raw(), row.identity.pid == 80 ? "/bin/old" : "/bin/new")
            << "changed at read " << moment;
      }
    }
  }
}

TEST_P(GenerationsTest, AProgramsFileThatWasGivenUpIsNotToldUnderItsNextName) {
  bool changed = true;
  for (std::size_t moment = 0; changed; ++moment) {
    LinuxImage image;
    use(GetParam(), image);
    const GuestVirtual task = image.add_process({.pid = 80, .exe = "/bin/old"});
    const GuestVirtual mm(image.get(task, "task_struct", "mm"));
    const GuestVirtual file(image.get(mm, "mm_struct", "exe_file"));
    const GuestVirtual next = image.open_file("/bin/new");
    const GuestVirtual others = image.dentry("/bin/others");
    auto guest = LinuxGuest::attach(image.kernel());
    ProcessesSeen seen;
    const auto change = [&] { // prctl(PR_SET_MM_EXE_FILE), and the file is another's
      image.set(mm, "mm_struct", "exe_file", next.raw());
      image.set(file, "file", "f_path.dentry", others.raw());
    };
    changed = changes_at(moment, image, change, [&] { seen = guest->processes(); });
    for (const ProcessSeen &row : seen.processes) {
      if (row.identity.pid == 80) {
        ASSERT_TRUE(row.exe);
        EXPECT_TRUE(row.exe->raw() == "/bin/old" || row.exe->raw() == "/bin/new")
            << row.exe->raw() << " when it changed at read " << moment;
      }
    }
  }
}

TEST_P(GenerationsTest, AHalfWrittenNameIsNeverTold) {
  const auto name = [](LinuxImage &image, GuestVirtual task, std::string_view text,
                       std::uint64_t lock) {
    std::array<char, 16> comm{};
    std::ranges::copy(text, comm.begin());
    image.builder().put(image.at(task, "task_struct", "comm"), comm);
    image.set(task, "task_struct", "alloc_lock.rlock.raw_lock.val.counter", lock);
  };
  for (const bool begins : {false, true}) { // it is begun, or ended, while it is read
    bool changed = true;
    for (std::size_t moment = 0; changed; ++moment) {
      LinuxImage image;
      use(GetParam(), image);
      const GuestVirtual task = image.add_process({.pid = 3674, .comm = "exe"});
      if (!begins) {
        name(image, task, "x367", 1);
      }
      auto guest = LinuxGuest::attach(image.kernel());
      ProcessesSeen seen;
      const auto change = [&] {
        begins ? name(image, task, "x367", 1) : name(image, task, "x3674", 0);
      };
      changed = changes_at(moment, image, change, [&] { seen = guest->processes(); });
      const ProcessSeen &row = seen.processes.back();
      ASSERT_EQ(row.identity.pid, 3674);
      EXPECT_TRUE(row.torn || row.comm.raw() == (begins ? "exe" : "x3674"))
          << row.comm.raw() << " when it changed at read " << moment;
    }
  }
}

TEST_P(GenerationsTest, AListThatMovesIsWalkedAgainOverFreshBytes) {
  bool changed = true;
  for (std::size_t moment = 0; changed; ++moment) {
    LinuxImage image;
    use(GetParam(), image);
    std::vector<GuestVirtual> tasks;
    for (std::int32_t pid = 80; pid < 90; ++pid) {
      tasks.push_back(image.add_process({.pid = pid}));
    }
    auto guest = LinuxGuest::attach(image.kernel());
    ProcessesSeen seen;
    const auto change = [&] { // one process leaves the list
      const GuestVirtual node = image.at(tasks[5], "task_struct", "tasks");
      const GuestVirtual next(image.get(tasks[5], "task_struct", "tasks"));
      const auto before = image.builder().space().read_pointer(node.plus_wrapping(8)).value();
      image.builder().put_pointer(before, next);
      image.builder().put_pointer(next.plus_wrapping(8), before);
    };
    changed = changes_at(moment, image, change, [&] { seen = guest->processes(); });
    EXPECT_TRUE(seen.completeness.complete()) << "changed at read " << moment;
    EXPECT_GE(seen.processes.size(), 10U); // with pid 1, without the one that left
  }
}

INSTANTIATE_TEST_SUITE_P(Both, GenerationsTest, testing::Values(Memory::Mapped, Memory::Costly),
                         [](const auto &tested) {
                           return tested.param == Memory::Mapped ? "Mapped" : "Costly";
                         });

} // namespace
} // namespace outguard::guest
