#pragma once
// Gives up what fetching does not need, before a server is spoken to: user, privileges, every file
// but certificates and resolver settings (Landlock), executing, tracing, mounting, listening,
// signalling and sockets of other families (seccomp). The network stays. Call once, at start, from
// the only thread.

#include "sandbox/give_up.h"

namespace outguard::fetch {

/// Only `keep`, the control socket, stays what it was; 0, 1 and 2 become 0, which the parent has
/// opened to nothing. An error means that the process must end.
[[nodiscard]] Result<sandbox::Gaps> enter_sandbox(int keep);

} // namespace outguard::fetch
