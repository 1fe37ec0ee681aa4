#pragma once
// Carries out a write plan: the only code that changes a guest's memory. Plans come from a sensor
// that may have been taken over, so everything in one is checked here first. All or nothing.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "facts/write_plan.h"
#include "hypervisor/vm_control.h"

namespace outguard::respond {

enum class PlanStatus : std::uint8_t {
  Applied,  ///< every write was read back
  Mismatch, ///< the guest has moved on: nothing was written, make a new plan
  Refused,  ///< not a valid plan, or the VM is not ours to pause: nothing was written
  Failed,   ///< nothing remains written, unless the reason says so
};

struct PlanOutcome {
  PlanStatus status = PlanStatus::Failed;
  std::uint32_t index = 0;           ///< patch that did not match, was not valid or failed
  std::chrono::nanoseconds paused{}; ///< order to stop until running again; 0: never paused
  std::string reason;
};

/// Longest the VM may stand still; a plan that takes longer is undone. Real ones take 1-2 ms.
inline constexpr std::chrono::milliseconds kMostPaused{500};

/// InvalidInput, naming the patch, for anything but: 1..kMaxPatches patches, each of 1, 2, 4 or 8
/// bytes inside one page, masks that fit the width, and at least one write.
[[nodiscard]] Result<void> validate_plan(const WritePlan &plan);

/// Validates, pauses, checks all expectations, writes, reads back, resumes. `on_pausing` runs right
/// before the VM is told to stop.
[[nodiscard]] PlanOutcome execute_plan(hypervisor::VmControl &control, const WritePlan &plan,
                                       const std::function<void()> &on_pausing = {});

/// The same in a process of its own (guarded_work.h), so that no death of it or of this one leaves
/// the VM paused or half written.
[[nodiscard]] PlanOutcome execute_plan_guarded(hypervisor::VmControl &control,
                                               const WritePlan &plan);

} // namespace outguard::respond
