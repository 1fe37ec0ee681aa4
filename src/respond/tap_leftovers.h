#pragma once
// What supervisors of ours left behind for taps that are gone. Any thread.

#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "respond/tap_program.h"

namespace outguard::respond {

/// Removes it in one network namespace: pinned filters and tables of ours without their tap.
/// Whatever is somebody else's, and every tap that is there, stays as it is.
[[nodiscard]] Result<void> remove_leftovers(const Fd &netns,
                                            const std::string &bpffs = kBpfFilesystem);

/// At a tap that is there: frees what its ended rules hold, and takes off what a build of another
/// layout left, once the rules that are wanted have been added. Makes no filter where there is
/// none.
[[nodiscard]] Result<void> sweep_tap(const Fd &netns, const std::string &tap,
                                     const std::string &bpffs = kBpfFilesystem);

} // namespace outguard::respond
