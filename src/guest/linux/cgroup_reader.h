#pragma once
// css_set -> the path of the cgroup, as /proc/PID/cgroup of the guest's init prints it: that of the
// cgroup v2 hierarchy; where that knows only its root, that of systemd's own v1 hierarchy.
// A kernel whose types lack a member has no paths to tell: missing() names it. Immutable.

#include <optional>
#include <string>

#include "facts/guest_text.h"
#include "guest/linux/kernel_reader.h"

namespace outguard::guest {

class CgroupReader {
public:
  explicit CgroupReader(const TypeTable &types);

  /// nullopt: not readable, or longer than PATH_MAX.
  [[nodiscard]] std::optional<GuestText> path_of(GuestVirtual css_set, KernelReader &reader) const;
  /// "css_set.dfl_cgrp"; empty: all is there.
  [[nodiscard]] const std::string &missing() const { return missing_; }

private:
  [[nodiscard]] Result<std::string> path_of_cgroup(GuestVirtual cgroup, KernelReader &reader) const;
  /// Null: systemd has no hierarchy of its own.
  [[nodiscard]] Result<GuestVirtual> systemd_cgroup(const ObjectCopy &css_set,
                                                    KernelReader &reader) const;

  std::string missing_;
  Extent set_;
  Member default_cgroup_, links_;
  Extent cgroup_;
  Member node_, root_;
  Extent kernfs_;
  Member parent_, name_;
  Extent link_;
  Member link_cgroup_, link_node_;
  Member root_name_;
};

} // namespace outguard::guest
