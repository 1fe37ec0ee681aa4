#pragma once
// Has a guest's kernel signal one of its processes by its own function: stops a processor in a
// timer interrupt by a hardware breakpoint, lays a whole interrupt frame below the interrupted
// stack, and lets the kernel run its function and return from that interrupt as if nothing had
// been. One stop, nothing to put back later. The plan comes from a sensor that may have been taken
// over: it is checked here, and names no place that is written to.

#include <chrono>
#include <functional>
#include <string>

#include "base/result.h"
#include "facts/signal_plan.h"
#include "hypervisor/vm_control.h"

namespace outguard::respond {

enum class SignalStatus : std::uint8_t {
  Called,   ///< the kernel runs its function; what came of it is read from memory
  Mismatch, ///< the guest has moved on: nothing was changed, make a new plan
  Refused,  ///< not a valid plan, the VM does not run, or its stub is somebody else's
  Missed,   ///< no processor came by in time: nothing was changed
  Failed,   ///< nothing was changed, unless the reason says so
};

struct SignalOutcome {
  SignalStatus status = SignalStatus::Failed;
  std::chrono::nanoseconds paused{}; ///< no processor ran, by QEMU's word; both stops together
  std::chrono::nanoseconds took{};   ///< from the beginning to the closed stub
  std::string reason;
};

struct SignalLimits {
  std::chrono::milliseconds hit{5000};      ///< for a processor to come by
  std::chrono::milliseconds hurry_after{2}; ///< an idle guest's timer may be a second away
  std::chrono::milliseconds answer{2000};   ///< for the stub, while the VM stands
};

/// InvalidInput for anything but: an identity of 1..8 checks of 1, 2, 4 or 8 bytes within a page
/// that write nothing; a known signal; a task and a stretch of text, at most 64 MiB, in the
/// kernel's half of canonical addresses; every place in that text; pid 2 or more.
[[nodiscard]] Result<void> validate_signal_plan(const SignalPlan &plan);

/// `on_touching` runs right before the stub is opened.
[[nodiscard]] SignalOutcome call_signal(hypervisor::VmControl &control, const SignalPlan &plan,
                                        const std::function<void()> &on_touching = {},
                                        const SignalLimits &limits = {});

/// The same in a process of its own (guarded_work.h): no death of it or of this one leaves the VM
/// standing or with a breakpoint.
[[nodiscard]] SignalOutcome call_signal_guarded(hypervisor::VmControl &control,
                                                const SignalPlan &plan,
                                                const SignalLimits &limits = {});

} // namespace outguard::respond
