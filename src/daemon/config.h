#pragma once
// What the operator wants, from one strict YAML file and the command line. Immutable after start.

#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "api/client.h"
#include "base/result.h"
#include "daemon/action_desk.h"
#include "daemon/evidence_action.h"
#include "daemon/hold_section.h"
#include "daemon/intel_config.h"
#include "detect/policy.h"
#include "respond/guard.h"

namespace outguard::daemon {

struct Config {
  detect::Policy policy;
  HoldConfig hold; ///< in mode prevent
  std::vector<std::string>
      policies; ///< files, and folders of them, of the VMs' own (docs/policy.md)
  IntelConfig intel;
  std::string eve_file = "/var/log/outguard/eve.json";
  std::string run_folder = api::kRunFolder;                 ///< where it can be asked
  std::string actions_folder = "/var/lib/outguard/actions"; ///< the journal of actions
  EvidenceConfig evidence;
  std::string file;             ///< that this was read from; empty: none
  std::string symbols;          ///< an ISF file, or a folder of them by release; empty: none
  std::vector<std::string> vms; ///< names or UUIDs to guard; empty: all
  std::vector<std::string> protected_processes; ///< names or executable paths never ended
  std::vector<respond::ProtectedNetwork> protected_networks; ///< remote ends never blocked or reset
  std::array<ApprovalRule, kResponseActions> approvals{};    ///< of what policies do
  ActionLimits actions;
};

/// InvalidInput: "FILE:LINE:COLUMN: what is wrong", with the nearest known key where one is close.
/// Relative paths in the file start at the file's folder.
[[nodiscard]] Result<Config> load_config(const std::string &path);

/// A policy that answers every match with containment and the end of the process.
[[nodiscard]] detect::Policy default_policy(ResponseMode mode);

} // namespace outguard::daemon
