#include "guest/linux/process_root.h"

namespace outguard::guest {

std::optional<PathPoint> root_of(const Task &task, const ProcessLayout &layout,
                                 KernelReader &reader) {
  ObjectCopy fs(layout.fs);
  if (task.fs.is_null() || !fs.load(reader, task.fs)) {
    return std::nullopt;
  }
  return PathPoint{fs.pointer(layout.fs_root_mount), fs.pointer(layout.fs_root_dentry)};
}

std::optional<PathPoint> root_of_guest(const TaskList &tasks, const LinuxLayout &layout,
                                       KernelReader &reader) {
  // pid 1 is the oldest task: the one behind pid 0.
  const std::uint32_t link = layout.task.tasks.offset;
  const auto first = reader.pointer(tasks.init_task().plus_wrapping(link));
  if (!first) {
    return std::nullopt;
  }
  const auto init = tasks.read(first->minus_wrapping(link), reader);
  return init && init->pid == 1 ? root_of(*init, layout.process, reader) : std::nullopt;
}

} // namespace outguard::guest
