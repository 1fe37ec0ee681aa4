#pragma once
// Where to look for processes beyond the task list.

#include <cstdint>

namespace outguard::guest {

enum class ViewScope : std::uint8_t {
  None,
  Kernel, ///< all that the kernel keeps; cheap
  Memory, ///< also all of RAM, for what has a task's shape
};

} // namespace outguard::guest
