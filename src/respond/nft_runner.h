#pragma once
// Runs nftables commands inside one network namespace, through libnftables. Each run is one kernel
// transaction: all of it or nothing. Any thread; runs are serialized (libnftables keeps global
// tables).

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace outguard::respond {

/// What the commands print. `commands` holds only our own words and checked names.
[[nodiscard]] Result<std::string> run_nft(const Fd &netns, const std::string &commands);

} // namespace outguard::respond
