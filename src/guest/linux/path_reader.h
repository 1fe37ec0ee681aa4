#pragma once
// Turns a (mount, dentry) pair into the path that readlink(2) prints for it in the guest: parent
// names, across mount points, up to the root of the guest's own pid 1. Borrows the layout.

#include <string>

#include "facts/guest_text.h"
#include "guest/bytes/address.h"
#include "guest/linux/kernel_reader.h"
#include "guest/linux/linux_layout.h"

namespace outguard::guest {

/// What the kernel calls struct path.
struct PathPoint {
  GuestVirtual mount; ///< struct vfsmount
  GuestVirtual dentry;
  friend bool operator==(const PathPoint &, const PathPoint &) = default;
};

struct PathSeen {
  GuestText path; ///< without " (deleted)"
  bool deleted = false;
};

class PathReader {
public:
  explicit PathReader(const PathLayout &layout) : layout_(layout) {}

  /// Malformed for a path longer than PATH_MAX or without an end.
  [[nodiscard]] Result<PathSeen> read(PathPoint from, PathPoint root, KernelReader &reader) const;

private:
  [[nodiscard]] Result<std::string> name_of(const ObjectCopy &dentry, KernelReader &reader) const;
  /// Replaces a mount's root by where it is mounted. False: it is mounted nowhere, the path is
  /// whole.
  [[nodiscard]] Result<bool> cross_mount(PathPoint &at, GuestVirtual mount_root,
                                         KernelReader &reader) const;

  const PathLayout &layout_;
};

} // namespace outguard::guest
