#pragma once
// Gives up everything a sensor does not need, before it is handed a single byte of guest or
// network: capabilities, user, network namespace, the file system (Landlock) and every system call
// that is not on a short list (seccomp, which kills). Call once, at start, from the only thread.

#include "sandbox/give_up.h"
#include "sensor/hold_slots.h"

namespace outguard::sensor {

enum class Role { Guard, CompileIntel, PackEvidence };

/// Only `keep`, the control socket, stays what it was; 0, 1 and 2 become 0, which the parent has
/// opened to nothing. An error means that the process must end: seccomp is never optional. With
/// `held` taps, descriptors were closed before they came: close_all_but().
[[nodiscard]] Result<sandbox::Gaps> enter_sandbox(Role role, int keep,
                                                  const HoldSlots &held = {});

} // namespace outguard::sensor
