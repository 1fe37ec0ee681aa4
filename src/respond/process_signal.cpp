#include "respond/process_signal.h"

#include <algorithm>
#include <thread>

#include "base/clock.h"
#include "respond/plan_executor.h"
#include "respond/signal_call.h"

namespace outguard::respond {

namespace {

using std::chrono::milliseconds;

/// Between two looks at a dying process: often at first, since most are gone in a few milliseconds.
constexpr milliseconds kFirstPause{1};
constexpr milliseconds kLastPause{50};
constexpr const char *kOtherProcess = "the plan is for another process";
constexpr const char *kEnded = "the process had already ended";

milliseconds longer(milliseconds pause) {
  return std::min(pause * 2, kLastPause);
}

} // namespace

SignalResult result_of(const Error &error) {
  switch (error.code) {
  case ErrorCode::Refused:
    return {ResponseStatus::Refused, error.message};
  case ErrorCode::Unsupported:
    return {ResponseStatus::NotPossible, error.message};
  default:
    return {ResponseStatus::Failed, error.message};
  }
}

struct ProcessSignal::Step {
  enum class Next { TryAgain, OtherWay, Over };
  Next next = Next::TryAgain;
  SignalResult result; ///< of a try that is over: Pending when it is under way
};

SignalResult ProcessSignal::check() {
  return go(Purpose::Check);
}

std::optional<SignalResult> ProcessSignal::deliver() {
  auto result = go(Purpose::Act);
  return result.status == ResponseStatus::Pending ? std::nullopt : std::optional(std::move(result));
}

SignalResult ProcessSignal::go(Purpose purpose) {
  bool other_way = false;
  auto called = repeat([&] {
    Step step = try_call(purpose);
    other_way = step.next == Step::Next::OtherWay || step.next == Step::Next::TryAgain;
    return step;
  });
  if (!other_way) {
    return called;
  }
  if (signal_ != GuestSignal::Kill) {
    called.reason += " (there is no other way to stop a process, or to let one go on)";
    return called;
  }
  auto written = repeat([&] { return try_write(purpose); });
  if (may_be_called_ && written.reason == kEnded) {
    return {ResponseStatus::Pending, {}}; // by the call that seemed to fail
  }
  only_marked_ = written.status == ResponseStatus::Pending;
  if (!only_marked_ && written.status != ResponseStatus::DryRun && written.reason != kEnded) {
    written.reason += "; by the kernel's own function: " + called.reason;
  }
  return written;
}

SignalResult ProcessSignal::repeat(const std::function<Step()> &attempt) {
  const auto deadline = monotonic_now() + limits_.plan_time;
  SignalResult last{ResponseStatus::Failed, "no plan was tried"};
  milliseconds pause = kFirstPause;
  unsigned tries = 0;
  while (tries < limits_.most_plans && (tries == 0 || monotonic_now() < deadline)) {
    if (tries > 0) {
      std::this_thread::sleep_for(pause);
      pause = longer(pause);
    }
    ++tries;
    ++plans_;
    Step step = attempt();
    last = std::move(step.result);
    if (step.next != Step::Next::TryAgain) {
      return last;
    }
  }
  last.reason += " (given up after " + std::to_string(tries) + " plans)";
  return last;
}

ProcessSignal::Step ProcessSignal::try_call(Purpose purpose) {
  using Next = Step::Next;
  const auto plan = hands_.sensor.plan_signal(process_, signal_);
  if (!plan) {
    if (plan.error().code == ErrorCode::NotFound) {
      return {Next::Over, {ResponseStatus::NotPossible, kEnded}};
    }
    const bool no_way =
        plan.error().code == ErrorCode::Unsupported || plan.error().code == ErrorCode::Unreachable;
    return {no_way ? Next::OtherWay : Next::TryAgain, result_of(plan.error())};
  }
  if (plan->process.pid != process_.pid || plan->signal != signal_ ||
      plan->process.start_boottime_ns != process_.start_boottime_ns) {
    return {Next::Over, {ResponseStatus::Refused, kOtherProcess}};
  }
  if (auto valid = validate_signal_plan(*plan); !valid) {
    return {Next::Over, {ResponseStatus::Refused, "not a valid plan: " + valid.error().message}};
  }
  if (purpose == Purpose::Check) {
    return {Next::Over, {ResponseStatus::DryRun, {}}};
  }
  auto control = hands_.open_control();
  if (!control) {
    return {Next::TryAgain, result_of(control.error())};
  }
  const auto outcome = call_signal_guarded(**control, *plan);
  paused_ += outcome.paused;
  switch (outcome.status) {
  case SignalStatus::Called:
    return {Next::Over, {ResponseStatus::Pending, outcome.reason}};
  case SignalStatus::Mismatch:
    return {Next::TryAgain, {ResponseStatus::Failed, outcome.reason}};
  case SignalStatus::Refused:
    return {Next::OtherWay, {ResponseStatus::Refused, outcome.reason}};
  case SignalStatus::Missed:
    break;
  case SignalStatus::Failed:
    may_be_called_ = true;
    break;
  }
  return {Next::OtherWay, {ResponseStatus::Failed, outcome.reason}};
}

ProcessSignal::Step ProcessSignal::try_write(Purpose purpose) {
  using Next = Step::Next;
  const auto plan = hands_.sensor.plan_kill(process_);
  if (!plan) {
    if (plan.error().code == ErrorCode::NotFound) {
      return {Next::Over, {ResponseStatus::NotPossible, kEnded}};
    }
    return {plan.error().code == ErrorCode::Unsupported ? Next::Over : Next::TryAgain,
            result_of(plan.error())};
  }
  if (plan->process != process_) {
    return {Next::Over, {ResponseStatus::Refused, kOtherProcess}};
  }
  if (auto valid = validate_plan(*plan); !valid) {
    return {Next::Over, {ResponseStatus::Refused, "not a valid plan: " + valid.error().message}};
  }
  if (purpose == Purpose::Check) {
    return {Next::Over, {ResponseStatus::DryRun, {}}};
  }
  auto control = hands_.open_control();
  if (!control) {
    return {Next::TryAgain, result_of(control.error())};
  }
  const auto outcome = execute_plan_guarded(**control, *plan);
  paused_ += outcome.paused;
  switch (outcome.status) {
  case PlanStatus::Applied:
    return {Next::Over, {ResponseStatus::Pending, {}}};
  case PlanStatus::Refused:
    return {Next::Over, {ResponseStatus::Refused, outcome.reason}};
  case PlanStatus::Mismatch:
  case PlanStatus::Failed:
    break;
  }
  return {Next::TryAgain, {ResponseStatus::Failed, outcome.reason}};
}

// ---- Proof
// -----------------------------------------------------------------------------------------

std::optional<SignalResult> ProcessSignal::effect_of(ProcessFate fate) const {
  const bool ended = fate == ProcessFate::Gone || fate == ProcessFate::Exited;
  if (signal_ == GuestSignal::Kill) {
    if (!ended) {
      return std::nullopt;
    }
    return SignalResult{
        ResponseStatus::Killed,
        fate == ProcessFate::Gone ? "" : "ended; its parent has not collected it yet (zombie)"};
  }
  if (ended) {
    return SignalResult{ResponseStatus::NotPossible, "the process ended meanwhile"};
  }
  if (signal_ == GuestSignal::Stop) {
    return fate == ProcessFate::Stopped
               ? std::optional<SignalResult>({ResponseStatus::Suspended, {}})
               : std::nullopt;
  }
  return fate == ProcessFate::Alive || fate == ProcessFate::Uninterruptible
             ? std::optional<SignalResult>({ResponseStatus::Done, {}})
             : std::nullopt;
}

/// Why the effect is not there yet.
std::string ProcessSignal::still(const Result<ProcessFate> &fate) const {
  if (!fate || *fate == ProcessFate::Unknown) {
    return "signalled; the guest cannot be read to prove it" +
           (fate ? std::string() : ": " + fate.error().message);
  }
  if (*fate == ProcessFate::Uninterruptible) {
    return "signalled; a thread sleeps where no signal reaches it, and obeys when that sleep ends";
  }
  if (*fate == ProcessFate::Stopped) {
    return signal_ == GuestSignal::Kill ? "signalled; it is stopped and has not ended yet"
                                        : "signalled; it is still stopped, perhaps by a tracer";
  }
  return only_marked_ ? "marked to end; it has not run since, and ends before its next instruction"
                      : "signalled; it has not obeyed yet";
}

SignalResult ProcessSignal::prove(const std::function<void()> &wake) {
  const auto start = monotonic_now();
  auto next_wake = start + limits_.wake_interval;
  milliseconds pause = kFirstPause;
  std::string known = still(ProcessFate::Alive);
  while (monotonic_now() - start < limits_.proof_time) {
    const auto fate = hands_.sensor.fate(process_);
    if (auto effect = fate ? effect_of(*fate) : std::nullopt) {
      return *effect;
    }
    known = still(fate);
    if (!fate && fate.error().code == ErrorCode::Unreachable) {
      break; // the sensor or the VM is gone: nobody is left to ask
    }
    if (wake && monotonic_now() >= next_wake) {
      wake();
      next_wake = monotonic_now() + limits_.wake_interval;
    }
    std::this_thread::sleep_for(pause);
    pause = longer(pause);
  }
  return {ResponseStatus::Pending, known};
}

// ---- By hand
// ---------------------------------------------------------------------------------------

namespace {

SignalResult signal_and_prove(const ProcessIdentity &process, GuestSignal signal, VmHands &hands,
                              const ProcessSignalLimits &limits) {
  ProcessSignal way(process, signal, hands, limits);
  auto refused = way.deliver();
  return refused ? std::move(*refused) : way.prove();
}

} // namespace

SignalResult kill_process(const ProcessIdentity &process, VmHands &hands,
                          const ProcessSignalLimits &limits) {
  return signal_and_prove(process, GuestSignal::Kill, hands, limits);
}

SignalResult suspend_process(const ProcessIdentity &process, VmHands &hands,
                             const ProcessSignalLimits &limits) {
  return signal_and_prove(process, GuestSignal::Stop, hands, limits);
}

SignalResult resume_process(const ProcessIdentity &process, VmHands &hands,
                            const ProcessSignalLimits &limits) {
  return signal_and_prove(process, GuestSignal::Continue, hands, limits);
}

} // namespace outguard::respond
