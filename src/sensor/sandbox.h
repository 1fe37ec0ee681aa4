#pragma once
// Gives up everything a sensor does not need, before it is handed a single byte of guest or
// network: capabilities, user, network namespace, the file system (Landlock) and every system call
// that is not on a short list (seccomp, which kills). Call once, at start, from the only thread.

#include <string>
#include <vector>

#include "base/result.h"

namespace outguard::sensor {

enum class Role { Guard, CompileIntel };

/// What of the sandbox this host could not give (an old kernel without Landlock, not started as
/// root). Empty: all of it holds.
using SandboxGaps = std::vector<std::string>;

/// Only `keep`, the control socket, stays what it was; 0, 1 and 2 become 0, which the parent has
/// opened to nothing. An error means that the process must end: seccomp is never optional.
[[nodiscard]] Result<SandboxGaps> enter_sandbox(Role role, int keep);

} // namespace outguard::sensor
