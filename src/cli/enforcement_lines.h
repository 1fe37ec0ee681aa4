#pragma once
// How a VM's taps are filtered, as an operator reads it. Everything is safe to show. Pure
// functions; any thread.

#include <vector>

#include "cli/status_lines.h"

namespace outguard::cli {

/// A line a tap, then one a rule in force.
[[nodiscard]] NamedLines enforcement_lines(const api::GuardStatus &guard);
/// What is wrong with it, and what to do: at most one a tap.
[[nodiscard]] std::vector<store::CheckRow> enforcement_checks(const api::GuardStatus &guard);

} // namespace outguard::cli
