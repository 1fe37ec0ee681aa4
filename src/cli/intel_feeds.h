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
/// Single adds and removes, of options.changes, as a supervisor has them beside its lists.
struct SingleChanges {
  Fd delta; ///< empty: nothing is added or removed
  std::uint64_t added = 0, removed = 0;
};
/// Says on stderr that there are some, and what of them is not taken.
[[nodiscard]] Result<SingleChanges> compile_changes(const IntelOptions &options);
/// The image may be empty.
[[nodiscard]] Result<void> give(launch::SensorProcess &sensor, const Fd &image,
                                const SingleChanges &changes);
/// All at once, for commands that look things up. No indicator at all is an error.
[[nodiscard]] Result<void> load_intel(launch::SensorProcess &sensor, const IntelOptions &options);

} // namespace outguard::cli
