#pragma once
// Tasks -> ProcessSeen: the list that the guest's own ps shows, with everything an alert names.
// Borrows the layout and the parts; keeps nothing between walks.

#include <optional>
#include <vector>

#include "facts/flow_seen.h"
#include "facts/process_detail.h"
#include "guest/linux/guest_clock.h"
#include "guest/linux/path_reader.h"
#include "guest/linux/process_context.h"
#include "guest/linux/task_list.h"
#include "guest/linux/walk_results.h"

namespace outguard::guest {

struct Lineage {
  std::vector<Ancestor> ancestors; ///< parent first, up to pid 1
  bool cut = false;                ///< there are more, and they could not be read
};

class LinuxProcessWalker {
public:
  /// `types` are only looked at now.
  LinuxProcessWalker(const LinuxLayout &layout, const TypeTable &types, const TaskList &tasks,
                     const GuestClock &clock)
      : layout_(layout), tasks_(tasks), clock_(clock), paths_(layout.path), context_(types) {}

  /// All processes. Kernel threads and zombies are in it, the idle task (pid 0) is not.
  [[nodiscard]] ProcessesSeen walk(KernelReader &reader) const;
  /// One process; of one that ended since, what the task itself still told, marked as exited; of
  /// one that cannot be read now, the same, marked as torn.
  [[nodiscard]] ProcessSeen describe_or_remember(const Task &leader, KernelReader &reader) const;
  /// One process with its ancestors and threads; what is mapped into it and the hash are others'
  /// work. NotFound: no process has this pid.
  [[nodiscard]] Result<ProcessDetail> detail(std::int32_t pid, KernelReader &reader) const;
  [[nodiscard]] Lineage lineage(const Task &task, KernelReader &reader) const;
  /// Describes the processes anew, and who started the first: one that executed another program
  /// since is told as what it is now, with what it was. One that ended, or is about to, stays as it
  /// was.
  void bring_up_to_date(Attribution &attribution, KernelReader &reader) const;

private:
  /// What is the same for all rows of one walk.
  struct Shared {
    std::optional<std::int64_t> boot_time_ns;
    std::optional<PathPoint> root; ///< of the guest's pid 1
    ContextMemo context;
  };
  [[nodiscard]] Shared shared_of_walk(KernelReader &reader) const;
  /// What of an mm_struct leads to arguments and executable.
  struct Program {
    GuestVirtual page_table, arg_start, arg_end;
    GuestVirtual exe; ///< struct file

    friend bool operator==(const Program &, const Program &) = default;
  };
  /// What was read once, and what led there.
  struct Draft {
    Task task;
    std::optional<Program> program; ///< nullopt: the process has none
    ProcessSeen seen;
  };
  /// NotFound: the process ended, its task is another's now. Other faults tell nothing about it.
  [[nodiscard]] Result<ProcessSeen> row(Task task, Shared &shared, KernelReader &reader) const;
  [[nodiscard]] Draft read_once(const Task &task, Shared &shared, KernelReader &reader) const;
  [[nodiscard]] Result<Program> program_of(const Task &task, KernelReader &reader) const;
  void read_program(Shared &shared, KernelReader &reader, Draft &draft) const;
  /// The second look, of a later generation than the first: does all that was followed still lead
  /// to the same objects, so that none of them was freed? Else the task as it is now is in `draft`.
  [[nodiscard]] Result<bool> still_holds(Draft &draft, KernelReader &reader) const;

  const LinuxLayout &layout_;
  const TaskList &tasks_;
  const GuestClock &clock_;
  PathReader paths_;
  ContextReader context_;
};

} // namespace outguard::guest
