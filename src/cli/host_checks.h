#pragma once
// What this host can do for Outguard, tried where that harms nothing. Any thread.

#include <string>
#include <vector>

#include "store/check_row.h"

namespace outguard::cli {

struct StateFolder {
  std::string what, path;
};

[[nodiscard]] std::vector<store::CheckRow> check_host();
/// Whether it is there, its owner's alone, and on a file system with room. One that is not there
/// yet is no problem: it is made when it is needed.
[[nodiscard]] store::CheckRow check_folder(const StateFolder &folder);
/// Whether the journal of actions in this folder is whole, as far as it is read at a start.
[[nodiscard]] store::CheckRow check_actions_journal(const std::string &folder);

} // namespace outguard::cli
