#pragma once
// A target as users write it, opened: a live VM or a dump, with a sensor that has found its kernel.

#include <chrono>
#include <string>

#include "base/result.h"
#include "launch/attach.h"
#include "launch/sensor_process.h"

namespace outguard::cli {

struct OpenedTarget {
  GuestText name; ///< for the "vm" column: the VM's name, or the dump's file name
  launch::SensorProcess sensor;
  GuestStateSeen state; ///< always Ready
  std::string memory;   ///< "mapped", "process" or "dump"
  std::chrono::nanoseconds connect{};
};

/// A guest that still boots is asked again until `patience` is over. Every state but Ready is an
/// error that names it.
[[nodiscard]] Result<OpenedTarget> open_target(const std::string &target,
                                               std::chrono::milliseconds patience,
                                               const launch::SymbolFiles &symbols = {});

} // namespace outguard::cli
