#pragma once
// Keys of feeds, from files or variables into headers. They go to outguard-fetch over its socket
// only: into no log, message, argument or environment.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "facts/feed_fetch.h"

namespace outguard::launch {

/// Lines of the form "Name: value" are headers as they stand. A single word alone is the key: it is
/// sent as MISP and TAXII want it (`Authorization: KEY`, `Authorization: Bearer KEY`), else as
/// `Auth-Key: KEY`. Blank lines and those that begin with '#' are passed over. `name` is for
/// messages, which never hold a key.
[[nodiscard]] Result<std::vector<std::string>> parse_key(std::string_view text, FeedKind kind,
                                                         const std::string &name);

/// Refuses a file that others than its owner and group can read.
[[nodiscard]] Result<std::vector<std::string>> read_key_file(const std::string &path,
                                                             FeedKind kind);

} // namespace outguard::launch
