// execute_plan_guarded(): a plan in a process of its own.
#include "respond/guarded_work.h"
#include "respond/plan_executor.h"

namespace outguard::respond {

namespace {

/// Longer than QEMU may take to answer (QemuControl) and the plan itself together.
constexpr std::chrono::milliseconds kPlanTime{3000};

} // namespace

PlanOutcome execute_plan_guarded(hypervisor::VmControl &control, const WritePlan &plan) {
  GuardedWork work;
  work.carry_out = [&](const std::function<void()> &on_pausing) {
    PlanOutcome outcome = execute_plan(control, plan, on_pausing);
    return WorkReport{static_cast<std::uint8_t>(outcome.status),
                      outcome.index,
                      outcome.paused,
                      {},
                      std::move(outcome.reason)};
  };
  work.mend = [&] {
    control.start_over();
    return control.resume();
  };
  work.time = kPlanTime;
  work.mended = "the VM was resumed, the plan may be done in part";
  auto done = run_guarded(work);
  if (!done.report) {
    return {PlanStatus::Failed, 0, {}, std::move(done.trouble)};
  }
  return {static_cast<PlanStatus>(done.report->status), done.report->index, done.report->paused,
          std::move(done.report->reason)};
}

} // namespace outguard::respond
