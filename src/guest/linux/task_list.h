#pragma once
// The guest's processes and threads, followed along the kernel's own lists.
// Borrows the layout. Every walk is bounded by the reader's budget.

#include <vector>

#include "guest/linux/completeness.h"
#include "guest/linux/task.h"
#include "guest/linux/unlisted_processes.h"

namespace outguard::guest {

class TaskList {
public:
  /// `init_task` is the address of the symbol: pid 0, the head of the list.
  TaskList(const TaskLayout &layout, const SignalLayout &signal, GuestVirtual init_task)
      : layout_(layout), signal_(signal), init_task_(init_task) {}

  /// leaders() and find() then tell those too that were taken out of the list. Borrowed.
  void also_find(const UnlistedProcesses *unlisted) { unlisted_ = unlisted; }

  /// Every thread-group leader but pid 0, oldest first.
  [[nodiscard]] std::vector<Task> leaders(KernelReader &reader, Completeness &completeness) const;
  /// Every thread of the leader's group, the leader included.
  [[nodiscard]] std::vector<Task> threads(const Task &leader, KernelReader &reader,
                                          Completeness &completeness) const;

  [[nodiscard]] Result<Task> read(GuestVirtual address, KernelReader &reader) const;
  /// The leader with this pid and start time, where it was or wherever it is now (an exec by
  /// another thread moves it). NotFound: it is in the list no more. Other faults: the list could
  /// not be read.
  [[nodiscard]] Result<Task> find(const ProcessIdentity &identity, KernelReader &reader) const;
  /// Still linked into the kernel's list? A freed task_struct keeps its bytes for a while.
  [[nodiscard]] bool is_linked(const Task &leader, KernelReader &reader) const;

  [[nodiscard]] GuestVirtual init_task() const { return init_task_; }

private:
  [[nodiscard]] std::vector<Task> follow(GuestVirtual head, const Member &node,
                                         KernelReader &reader, Completeness &completeness) const;

  const TaskLayout &layout_;
  const SignalLayout &signal_;
  GuestVirtual init_task_;
  const UnlistedProcesses *unlisted_ = nullptr;
};

} // namespace outguard::guest
