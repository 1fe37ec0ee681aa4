#pragma once
// The write plan that ends a process, and the look that tells whether it ended. Plans only: what
// writes is on the other side of the process boundary. Borrows layout and task list.

#include <optional>
#include <vector>

#include "facts/write_plan.h"
#include "guest/linux/kill_refusal.h"
#include "guest/linux/task_list.h"

namespace outguard::guest {

class KillPlanner {
public:
  KillPlanner(const LinuxLayout &layout, const TaskList &tasks,
              std::optional<unsigned> pending_signal_bit)
      : layout_(layout), tasks_(tasks), pending_signal_bit_(pending_signal_bit) {}

  [[nodiscard]] tl::expected<WritePlan, KillRefusal> plan(const ProcessIdentity &process,
                                                          KernelReader &reader) const;
  [[nodiscard]] ProcessFate fate(const ProcessIdentity &process, KernelReader &reader) const;

private:
  [[nodiscard]] std::optional<KillRefusal> refuses(const Task &leader) const;

  const LinuxLayout &layout_;
  const TaskList &tasks_;
  std::optional<unsigned> pending_signal_bit_;
};

} // namespace outguard::guest
