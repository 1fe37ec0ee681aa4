#pragma once
// Processes that the kernel's task list lacks and its other structures still have: the pid table's
// slots and the lists of children. Costs next to nothing where nobody is hidden: what the listed
// processes themselves name is not looked at again. Owns offsets only. One thread at a time.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "guest/linux/pid_table.h"
#include "guest/linux/task.h"

namespace outguard::guest {

class UnlistedProcesses {
public:
  UnlistedProcesses(const TypeTable &types, const SymbolTable &symbols, GuestVirtual init_task);

  /// Leaders that live, are not in `listed`, and that the pid table or a parent leads to.
  [[nodiscard]] std::vector<GuestVirtual> find(std::span<const Task> listed,
                                               KernelReader &reader) const;
  /// Alive, and known to the kernel by its number: the struct pid that it names leads back to it.
  [[nodiscard]] bool is_attached(GuestVirtual task, KernelReader &reader) const;

private:
  /// What of a task_struct tells its kin.
  struct Kin {
    GuestVirtual leader, number, sighand;
    GuestVirtual first_child, next_sibling; ///< list nodes
    bool lives = false;
  };
  class Search;
  [[nodiscard]] std::optional<Kin> read(GuestVirtual task, KernelReader &reader) const;

  GuestVirtual init_task_;
  std::optional<PidTable> pids_;
  bool bound_ = false;
  Extent kin_;
  Member leader_, number_, sighand_, exit_state_, children_, sibling_;
};

} // namespace outguard::guest
