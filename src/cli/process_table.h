#pragma once
// Processes as people read them, for every command that shows some.

#include <span>
#include <string>
#include <vector>

#include "facts/process_seen.h"

namespace outguard::cli {

/// `tree`: children below their parents.
void print_process_table(const std::vector<ProcessSeen> &rows, bool tree);

/// '?' for what is no letter: a sensor may send any byte.
[[nodiscard]] char state_letter(char state);
/// "sh[12] <- init[1]"; "(nobody)": it has no parent; "?": the parent could not be read,
/// nor, with `cut`, the one that started the last.
[[nodiscard]] std::string starters_of(const ProcessSeen &process,
                                      std::span<const Ancestor> ancestors, bool cut);

/// Every argument behind a space; "?" where it could not be read.
[[nodiscard]] std::string command_line(const ProcessSeen &process);

} // namespace outguard::cli
