#pragma once
// The action `evidence`: collects what a VM's sensor can read of one process, and files it in the
// operator's folder. Called on the VM's thread by its hands; takes seconds, at most about a minute.

#include <cstdint>
#include <string>

#include "facts/action.h"
#include "hypervisor/vm_found.h"
#include "launch/sensor_process.h"

namespace outguard::daemon {

struct EvidenceConfig {
  std::string folder = "/var/lib/outguard/evidence";
  std::uint64_t most_bytes = std::uint64_t{256} << 20; ///< of one archive
  std::size_t most_archives = 1000; ///< in the folder: then none is made, and none removed
  /// Of a VM's packets, kept in case; 0: none. Half of it makes the rings larger, half is copies.
  std::uint64_t packets = std::uint64_t{4} << 20;
};

/// Done, with where it is in the reason; or NotPossible, Failed, and nothing is left of it.
[[nodiscard]] ResponseDone act_evidence(launch::SensorProcess &sensor,
                                        const hypervisor::VmFound &vm, const ActionWanted &wanted,
                                        const EvidenceConfig &config, bool dry);

/// After a crash: was it filed?
[[nodiscard]] bool has_evidence(const hypervisor::VmFound &vm, const ActionWanted &wanted,
                                const EvidenceConfig &config);

} // namespace outguard::daemon
