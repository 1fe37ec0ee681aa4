#pragma once
// The descriptors that one process has open, as the links in its /proc/PID/fd name them, each with
// position and flags. Looks twice, like every walk. Borrows layouts and TaskList.

#include <optional>
#include <string>
#include <vector>

#include "facts/evidence.h"
#include "guest/linux/completeness.h"
#include "guest/linux/linux_layout.h"
#include "guest/linux/path_reader.h"
#include "guest/linux/task_list.h"

namespace outguard::guest {

struct OpenFilesLayout {
  Extent inode;
  Member number, superblock;
  Extent superblock_extent;
  Member magic;
  std::optional<Member> position, flags; ///< of struct file; outside FileLayout's extent

  [[nodiscard]] static tl::expected<OpenFilesLayout, std::string> bind(const TypeTable &types);
};

struct FilesSeen {
  std::vector<OpenFileSeen> files; ///< by descriptor
  Completeness completeness;
};

class OpenFiles {
public:
  OpenFiles(const OpenFilesLayout &layout, const LinuxLayout &kernel, const TaskList &tasks)
      : layout_(layout), kernel_(kernel), tasks_(tasks), paths_(kernel.path) {}

  [[nodiscard]] FilesSeen read(const Task &task, KernelReader &reader) const;

private:
  [[nodiscard]] FilesSeen look(const Task &task, KernelReader &reader) const;
  [[nodiscard]] OpenFileSeen describe(GuestVirtual address, const std::optional<PathPoint> &root,
                                      KernelReader &reader) const;
  void name(OpenFileSeen &seen, PathPoint place, std::uint64_t file_system,
            const std::optional<PathPoint> &root, KernelReader &reader) const;

  const OpenFilesLayout &layout_;
  const LinuxLayout &kernel_;
  const TaskList &tasks_;
  PathReader paths_;
};

} // namespace outguard::guest
