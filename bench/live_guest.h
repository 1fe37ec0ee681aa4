#pragma once
// A live guest of the lab, attached to inside one process: what measuring programs share. The
// product never opens and parses in one process. Fails by ending the program.

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "guest/linux/linux_guest.h"
#include "guest/memory/memory_reader.h"

namespace outguard {

struct LiveGuest {
  bool mapped = false;
  std::unique_ptr<guest::MemoryReader> memory;
  std::unique_ptr<guest::LinuxGuest> linux_guest;
};

[[nodiscard]] LiveGuest attach_to(const std::string &target);

[[nodiscard]] double microseconds_since(MonotonicTime start);
/// {"n": ..., "p50": ..., "p90": ..., "p99": ..., "max": ...}
[[nodiscard]] std::string percentiles(std::vector<double> samples);

} // namespace outguard
