#pragma once
// The copy of a feed that was in force last stays on the disk under a second name, until another is
// in force: a newer one that was refused for its losses is then not all there is after a restart.
// Costs no room while both are the same file. Stateless; any thread.

#include <optional>
#include <string>

#include <sys/types.h>

#include "base/result.h"

namespace outguard::launch {

/// Of `path`, where there is one and it is another file than `path` is now.
[[nodiscard]] std::optional<std::string> good_copy_of(const std::string &path);

/// A copy as it was before it was read. One that takes its place is another file.
struct CopyMark {
  std::string path;
  ino_t inode = 0;
};
[[nodiscard]] std::optional<CopyMark> mark_of(const std::string &path);
/// It is in force. Nothing is done where another has taken its place meanwhile.
[[nodiscard]] Result<void> keep_good(const CopyMark &mark);

} // namespace outguard::launch
