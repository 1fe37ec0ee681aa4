#pragma once
// Where a process sees `/`. That of pid 1 is where the guest's paths begin.

#include <optional>

#include "guest/linux/path_reader.h"
#include "guest/linux/task_list.h"

namespace outguard::guest {

[[nodiscard]] std::optional<PathPoint> root_of(const Task &task, const ProcessLayout &layout,
                                               KernelReader &reader);
/// pid 1's.
[[nodiscard]] std::optional<PathPoint>
root_of_guest(const TaskList &tasks, const LinuxLayout &layout, KernelReader &reader);

} // namespace outguard::guest
