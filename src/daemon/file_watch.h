#pragma once
// Wakes when something in a set of folders may have changed, and tells by a signature whether it
// did. inotify is only the hint that it is worth a look now: what it cannot see (network file
// systems, folders that come later, targets of links) is seen when its owner looks again. Reads
// names and attributes of files, never a byte of them. One thread.

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"

namespace outguard::daemon {

class FileWatch {
public:
  static constexpr std::size_t kMostFolders = 1000; ///< those after it are seen at the next look

  FileWatch();

  /// Watches these from now on, and again such as went away and came back. Cheap when nothing is
  /// new.
  void watch(std::span<const std::string> folders);

  /// Blocks until something happened in a folder, `wake_fd` is readable, or `wait` is over.
  void wait(int wake_fd, std::chrono::milliseconds wait);

private:
  Fd events_; ///< inotify; empty: the kernel gave none, and only looks are left
};

/// Of names, places, sizes and times of files; absent ones count too.
[[nodiscard]] std::uint64_t signature_of(std::span<const std::string> files);

/// When one of the files was last put in place or changed, by the file system's clock; nullopt:
/// none is there.
[[nodiscard]] std::optional<WallTime> last_change(std::span<const std::string> files);

} // namespace outguard::daemon
