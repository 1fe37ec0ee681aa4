#pragma once
// Carries out what policy wants done about a finding, and reports what really happened. Order:
// block first (contain), then end the process, then reset (which also wakes it, so that it dies at
// once instead of coming back with a new connection), then look until it is gone. Blocks its thread
// for as long as the proof takes: one worker thread a VM. Owns nothing but its settings.

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "facts/finding.h"
#include "facts/response.h"
#include "respond/guard.h"
#include "respond/process_signal.h"
#include "respond/vm_hands.h"

namespace outguard::respond {

using ResponderLimits = ProcessSignalLimits;

class Responder {
public:
  using Report = std::function<void(const ResponseDone &)>;

  /// `guard` is shared by the responders of all VMs; `guard_lock` serializes them.
  Responder(Guard &guard, std::mutex &guard_lock, ResponderLimits limits = {})
      : guard_(guard), guard_lock_(guard_lock), limits_(limits) {}

  /// One ResponseDone for each wanted action, in the order carried out; `report` gets each as soon
  /// as it is known. In monitor mode everything but the last call is done: guard, plan, its
  /// validation.
  [[nodiscard]] std::vector<ResponseDone> respond(const Finding &finding, VmHands &hands,
                                                  const Report &report = {});

  /// The last way a kill went, for the journal and for measuring.
  struct KillTimes {
    std::chrono::nanoseconds paused{};
    unsigned plans = 0;
  };
  [[nodiscard]] const KillTimes &last_kill() const { return last_kill_; }

private:
  struct Job; // one finding on its way

  Guard &guard_;
  std::mutex &guard_lock_;
  ResponderLimits limits_;
  KillTimes last_kill_;
};

} // namespace outguard::respond
