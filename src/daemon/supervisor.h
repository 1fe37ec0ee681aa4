#pragma once
// The main job: follows the VMs of the host and keeps a VmGuard on each that policy wants guarded.
// One thread, beside those of the guards.

#include <string>

#include "base/result.h"
#include "daemon/config.h"

namespace outguard::daemon {

enum class Show { Lines, Json };

/// Blocks until SIGINT or SIGTERM; SIGHUP reloads intelligence. Feeds are compiled first; no usable
/// indicator in files that were named is an error. Enforcement that was put in place stays, with
/// its expiry.
[[nodiscard]] Result<void> supervise(const Config &config, Show show, const std::string &version);

} // namespace outguard::daemon
