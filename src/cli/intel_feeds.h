#pragma once
// The feeds that a command line names, compiled and given to a sensor. Complains about bad ones on
// stderr on the way.

#include "cli/commands.h"
#include "launch/intel_compiler_process.h"
#include "launch/sensor_process.h"

namespace outguard::cli {

[[nodiscard]] Result<launch::CompiledIntel> compile(const IntelOptions &options,
                                                    const launch::ValuesToJudge &asked = {});
/// What of the folders given is not read.
void complain_of_left_out(const launch::CompiledIntel &compiled);
/// All at once, for commands that look things up. No indicator at all is an error.
[[nodiscard]] Result<void> load_intel(launch::SensorProcess &sensor, const IntelOptions &options);

} // namespace outguard::cli
