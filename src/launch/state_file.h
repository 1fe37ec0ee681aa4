#pragma once
// Small files, read whole; those of ours in a state folder replaced as a whole: after a crash there
// is the old one or the new one. Stateless; any thread.

#include <functional>
#include <string>

#include "base/result.h"

namespace outguard::launch {

/// All of it; LimitReached when that is more than `most` bytes.
[[nodiscard]] Result<std::string> read_small_file(const std::string &path, std::size_t most);

/// `fill` writes to a new file, for its owner only, that then takes the place of `path`. It is on
/// the disk when this returns.
[[nodiscard]] Result<void> replace_file(const std::string &path,
                                        const std::function<bool(int fd)> &fill);
[[nodiscard]] Result<void> replace_file(const std::string &path, const std::string &text);

} // namespace outguard::launch
