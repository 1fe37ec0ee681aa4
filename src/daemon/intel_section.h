#pragma once
// The `intel` section of the configuration: a list of files, or a mapping of all there is. Throws
// yaml::Problem (yaml/strict_reader.h).

#include <filesystem>

#include "daemon/intel_config.h"
#include "yaml/strict_reader.h"

namespace outguard::daemon {

/// Relative paths start at `folder`.
[[nodiscard]] IntelConfig read_intel(const YAML::Node &node, const std::filesystem::path &folder);

} // namespace outguard::daemon
