#pragma once
// Compares the places that every living process must be found in: who is in one and not in another
// was hidden. A guest that runs changes its lists one after the other, so nobody is accused on one
// look: only what is missing from the same view in two looks in a row, alive by its own fields in
// both, while nobody holds the locks under which those lists change. What a dump or a stopped guest
// leaves in the middle of such a change stays undecided.
// Owns offsets only. One thread at a time.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "guest/linux/css_sets.h"
#include "guest/linux/pid_table.h"
#include "guest/linux/run_queues.h"
#include "guest/linux/view_task.h"

namespace outguard::guest {

/// What the views say of one process.
struct ViewsOfProcess {
  ProcessIdentity identity;
  ViewSet asked; ///< those that must have it, and those that do
  ViewSet seen;
  std::optional<bool> hidden; ///< nullopt: not decided

  [[nodiscard]] bool is_unlisted() const { return !seen.has(ProcessView::TaskList); }
};

struct ViewsCompared {
  std::map<GuestVirtual, ViewsOfProcess> processes; ///< by the leader's task_struct
  Completeness completeness;
};

class CrossViews {
public:
  CrossViews(const TypeTable &types, const SymbolTable &symbols, GuestVirtual init_task);

  /// Found elsewhere: tasks, or what may be some, by the view that leads to them.
  using Leads = std::vector<std::pair<ProcessView, GuestVirtual>>;

  [[nodiscard]] ViewsCompared compare(const Leads &leads, KernelReader &reader) const;

  /// What this kernel cannot be asked for, each with the type, member or symbol that it lacks.
  [[nodiscard]] const std::vector<std::string> &lacking() const { return lacking_; }
  [[nodiscard]] const std::optional<ViewLayout> &layout() const { return layout_; }
  [[nodiscard]] const std::optional<PidTable> &pids() const { return pids_; }

private:
  class Pass;
  [[nodiscard]] static bool is_missed_twice(const ViewsOfProcess &now,
                                            const ViewsOfProcess &before);
  /// Somebody holds a lock under which the lists change, or may do.
  [[nodiscard]] bool is_changing(KernelReader &reader) const;

  GuestVirtual init_task_;
  std::optional<ViewLayout> layout_;
  std::optional<PidTable> pids_;
  std::optional<RunQueues> queues_;
  std::optional<CssSets> sets_;
  std::vector<GuestVirtual> locks_;
  bool may_tell_ = true; ///< false: a lock is not known, so nobody is called hidden
  std::vector<std::string> lacking_;
};

} // namespace outguard::guest
