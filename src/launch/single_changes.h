#pragma once
// Single adds and removes as lists to compile: the files `added` and `removed` of a folder.
// Stateless; any thread.

#include <array>
#include <string>
#include <vector>

#include "launch/intel_compiler_process.h"

namespace outguard::launch {

/// added, removed.
[[nodiscard]] std::array<std::string, 2> change_files(const std::string &folder);
/// Those of them that hold a byte, or cannot be looked at. Reserved addresses are taken: they are
/// named by hand, one by one.
[[nodiscard]] std::vector<FeedChoice> change_choices(const std::string &folder);

/// Nothing, or comments and blank lines alone: the compiler calls that a problem of a feed, here it
/// is none. Asked of the file too: it may have been replaced by an empty one since it was chosen.
[[nodiscard]] bool says_nothing(const FeedReport &changes);

} // namespace outguard::launch
