#pragma once
// What plans of both kinds are made of, looked at: patches out of a sensor that may have been taken
// over. Stateless.

#include <cstdint>

#include "base/result.h"
#include "facts/write_plan.h"
#include "hypervisor/vm_control.h"

namespace outguard::respond {

/// What is wrong with its form; nullptr: nothing.
[[nodiscard]] const char *problem_of(const Patch &patch);

/// The word as it is now. Guest values are little-endian, as is every host this runs on.
[[nodiscard]] Result<std::uint64_t> load(hypervisor::VmControl &control, const Patch &patch);

[[nodiscard]] Result<bool> expectation_holds(hypervisor::VmControl &control, const Patch &patch);

} // namespace outguard::respond
