#pragma once
// What a running supervisor tells, as an operator reads it. Everything is safe to show. Pure
// functions but look_for_supervisors(); any thread.

#include <string>
#include <utility>
#include <vector>

#include "api/supervisor_status.h"
#include "store/check_row.h"

namespace outguard::cli {

struct SupervisorsFound {
  std::vector<api::SupervisorStatus> running;
  std::vector<std::string> problems; ///< of those that did not answer
  std::string reason;                ///< why there is none; empty: there is
};
[[nodiscard]] SupervisorsFound look_for_supervisors(const std::string &run_folder);

/// "12 s", "4 min", "2 h", "3 days"; "?" when it is not known.
[[nodiscard]] std::string age(const api::Time &time, WallTime now);
/// "1,024,331".
[[nodiscard]] std::string grouped(std::uint64_t number);

/// All that matters at a glance: "1,024,331 indicators from 7 sources, newest 4 min old; ...".
[[nodiscard]] std::string intel_headline(const api::IntelStatus &intel, WallTime now);

using NamedLines = std::vector<std::pair<std::string, std::string>>;
[[nodiscard]] NamedLines intel_lines(const api::IntelStatus &intel, WallTime now);
/// Of one VM: its guard, then what is in force.
[[nodiscard]] NamedLines guard_lines(const api::SupervisorStatus &supervisor,
                                     const api::GuardStatus &guard, WallTime now);

/// What is wrong with it, and what to do.
[[nodiscard]] std::vector<store::CheckRow> checks_of(const api::SupervisorStatus &status,
                                                     WallTime now);

} // namespace outguard::cli
