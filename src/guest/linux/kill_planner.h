#pragma once
// The write plan that ends a process, and the look that tells whether it ended. Plans only: what
// writes is on the other side of the process boundary. Borrows layout and task list.
//
// The plan makes SIGKILL pending in every thread (of very many, in as many as a plan holds, those
// that run first), and stops short of what complete_signal() also
// does: marking the group as exiting. So the first thread to run takes the signal the ordinary way,
// marks the group itself and wakes its siblings; with the mark already there it would exit alone,
// and threads that sleep would keep the process alive (seen on 5.10, 6.1 and 6.12). A process of
// which every thread sleeps needs a wake-up from outside: a packet to its socket, or a call of the
// kernel's own.

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
