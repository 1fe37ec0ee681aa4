#pragma once
// Has a guest's process signalled, by whichever of two ways works, and proves it by reading the
// guest: first the kernel's own function (signal_call.h), which wakes any sleeper and can stop and
// continue too; to end it, else the data-only write plan, which needs no debugger stub and takes
// effect when the process next runs. Asks no guard: who calls has done that. Blocks its thread.

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "facts/response.h"
#include "facts/signal_plan.h"
#include "respond/vm_hands.h"

namespace outguard::respond {

struct ProcessSignalLimits {
  unsigned most_plans = 20;                      ///< tries while the guest moves on under the plan
  std::chrono::milliseconds plan_time{2000};     ///< for all tries together
  std::chrono::milliseconds proof_time{10'000};  ///< to wait for the effect
  std::chrono::milliseconds wake_interval{1000}; ///< a sleeper may go back to sleep elsewhere
};

/// A status, and why in our own words.
struct SignalResult {
  ResponseStatus status = ResponseStatus::Failed;
  std::string reason;
};

[[nodiscard]] SignalResult result_of(const Error &error);

/// One process and one signal on its way.
class ProcessSignal {
public:
  ProcessSignal(const ProcessIdentity &process, GuestSignal signal, VmHands &hands,
                const ProcessSignalLimits &limits)
      : process_(process), signal_(signal), hands_(hands), limits_(limits) {}

  /// Everything but the last call: DryRun, or why it could not be done.
  [[nodiscard]] SignalResult check();
  /// nullopt: it is under way; then prove() tells what came of it.
  [[nodiscard]] std::optional<SignalResult> deliver();
  /// Looks until the effect is there: Killed, Suspended, Done (goes on); Pending when `proof_time`
  /// is over, to be asked again. `wake` is called now and then for a process that must run first.
  [[nodiscard]] SignalResult prove(const std::function<void()> &wake = {});

  [[nodiscard]] std::chrono::nanoseconds paused() const { return paused_; } ///< the VM stood still
  [[nodiscard]] unsigned plans() const { return plans_; }                   ///< of both kinds
  /// It must run first, since only its memory was written.
  [[nodiscard]] bool is_only_marked() const { return only_marked_; }

private:
  enum class Purpose { Check, Act };
  struct Step; // a try of one way

  [[nodiscard]] SignalResult go(Purpose purpose);
  [[nodiscard]] SignalResult repeat(const std::function<Step()> &attempt);
  [[nodiscard]] Step try_call(Purpose purpose);
  [[nodiscard]] Step try_write(Purpose purpose);
  [[nodiscard]] std::optional<SignalResult> effect_of(ProcessFate fate) const;
  [[nodiscard]] std::string still(const Result<ProcessFate> &fate) const;

  ProcessIdentity process_;
  GuestSignal signal_;
  VmHands &hands_;
  ProcessSignalLimits limits_;
  std::chrono::nanoseconds paused_{};
  unsigned plans_ = 0;
  bool only_marked_ = false;
  bool may_be_called_ = false; ///< a call failed at an unknown point
};

/// By hand: delivered and proved in one call.
[[nodiscard]] SignalResult kill_process(const ProcessIdentity &process, VmHands &hands,
                                        const ProcessSignalLimits &limits = {});
[[nodiscard]] SignalResult suspend_process(const ProcessIdentity &process, VmHands &hands,
                                           const ProcessSignalLimits &limits = {});
[[nodiscard]] SignalResult resume_process(const ProcessIdentity &process, VmHands &hands,
                                          const ProcessSignalLimits &limits = {});

} // namespace outguard::respond
