#pragma once
// One process in depth, as a sensor reads it.

#include <cstdint>
#include <optional>

#include "launch/sensor_process.h"

namespace outguard::launch {

struct Depth {
  bool hash = false; ///< the executable's SHA-256
  bool maps = false;
};

struct ProcessInDepth {
  ProcessDetail detail;
  std::optional<Table<MapSeen>> maps; ///< when asked for
};

/// NotFound: no process has this pid.
[[nodiscard]] Result<ProcessInDepth> describe_process(SensorProcess &sensor, std::int32_t pid,
                                                      Depth depth);

} // namespace outguard::launch
