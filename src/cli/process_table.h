#pragma once
// Processes as people read them, for every command that shows some.

#include <vector>

#include "facts/process_seen.h"

namespace outguard::cli {

/// `tree`: children below their parents.
void print_process_table(const std::vector<ProcessSeen> &rows, bool tree);

} // namespace outguard::cli
