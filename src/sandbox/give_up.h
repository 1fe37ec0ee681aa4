#pragma once
// What a process gives up at start, from its only thread, before it is handed a hostile byte: each
// step is final. An error means that the process must end; what an older host lacks is a gap, told
// and lived with.

#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include <sys/resource.h>

#include "base/fd.h"
#include "base/result.h"

namespace outguard::sandbox {

/// What of the sandbox this host could not give (an old kernel without Landlock, not started as
/// root), in words. Empty: all of it holds.
using Gaps = std::vector<std::string>;

struct Limit {
  __rlimit_resource resource;
  rlim_t most; ///< soft and hard
};

/// Closes every descriptor above 2 but `keep`.
[[nodiscard]] Result<void> close_all_but(int keep);

[[nodiscard]] Result<void> set_limits(std::initializer_list<Limit> limits);

/// New `namespaces` (CLONE_NEW..., of which a missing one is a gap), then user and groups nobody.
/// Only root can; who starts it by hand on files has no privilege to give up: a gap.
[[nodiscard]] Result<void> become_nobody(int namespaces, Gaps &gaps);

/// No new privileges by exec; no dump and no tracing by others of the same user.
[[nodiscard]] Result<void> seal_privileges();

/// Landlock (Linux 5.13): every access to files handled; files and folders opened with O_PATH as
/// `readable` may still be read.
void leave_file_system(std::span<const Fd> readable, Gaps &gaps);

/// 1 and 2 become 0, which the parent has opened to nothing: they are its terminal or journal, and
/// nothing that could be taken over holds it. The last step that can be seen to fail.
[[nodiscard]] Result<void> leave_terminal();

} // namespace outguard::sandbox
