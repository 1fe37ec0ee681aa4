#pragma once
// Rows of processes -> rows that say which views have each, and rows for those that only some views
// have. Borrows walker and task list; owns the views. One thread at a time.

#include <string>
#include <vector>

#include "guest/linux/cross_views.h"
#include "guest/linux/process_walker.h"
#include "guest/linux/task_list.h"
#include "guest/linux/view_scope.h"

namespace outguard::guest {

class ProcessViews {
public:
  ProcessViews(const TypeTable &types, const SymbolTable &symbols, const TaskList &tasks,
               const LinuxProcessWalker &walker)
      : views_(types, symbols, tasks.init_task()), tasks_(tasks), walker_(walker) {}

  void compare(ViewScope scope, ProcessesSeen &seen, KernelReader &reader) const;

private:
  /// Adds what looks like a task, anywhere in RAM.
  void search_memory(ProcessesSeen &seen, CrossViews::Leads &leads, KernelReader &reader) const;

  CrossViews views_;
  const TaskList &tasks_;
  const LinuxProcessWalker &walker_;
};

} // namespace outguard::guest
