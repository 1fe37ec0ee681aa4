#pragma once
// Plans a call of the kernel's own do_send_sig_info() for one of its processes: where to stop a
// processor, what to call, where to return to. Where these lie is found once, at attach; a plan
// then reads the process only. Borrows layout and task list. Same arguments on 5.10 to 7.2.

#include <string>

#include "facts/signal_plan.h"
#include "guest/linux/kill_refusal.h"
#include "guest/linux/task_list.h"
#include "guest/symbols/symbol_table.h"

namespace outguard::guest {

struct SignalRefusal {
  KillRefusal refusal = KillRefusal::Unsupported;
  std::string reason;
};

class SignalPlanner {
public:
  SignalPlanner(const LinuxLayout &layout, const TaskList &tasks, const SymbolTable &symbols,
                KernelReader &reader);

  [[nodiscard]] tl::expected<SignalPlan, SignalRefusal>
  plan(const ProcessIdentity &process, GuestSignal signal, KernelReader &reader) const;

private:
  void find_places(const SymbolTable &symbols, KernelReader &reader);

  const LinuxLayout &layout_;
  const TaskList &tasks_;
  SignalPlan places_;       ///< of every plan; no process in it
  std::string unsupported_; ///< why this kernel cannot be called; empty: it can
};

} // namespace outguard::guest
