#pragma once
// The `hold` section of the configuration: which VMs' first packets are held in prevent mode, and
// how. read_hold() throws yaml::Problem (yaml/strict_reader.h).

#include <string>
#include <vector>

#include "facts/hold.h"
#include "yaml/strict_reader.h"

namespace outguard::daemon {

struct HoldConfig {
  HoldSettings settings;
  std::vector<std::string> vms; ///< names or UUIDs; empty: all that are guarded

  [[nodiscard]] bool holds(const std::string &name, const std::string &key) const;
};

[[nodiscard]] HoldConfig read_hold(const YAML::Node &node);

} // namespace outguard::daemon
