#pragma once
// A policy as a file: which VMs it governs, its rules, and its own tests. docs/policy.md has the
// format.

#include <string>
#include <vector>

#include "base/result.h"
#include "policy/files/flow_case.h"
#include "policy/flow_policy.h"

namespace outguard::policy {

/// What a file says a flow must come to.
struct PolicyTest {
  std::string place; ///< FILE:LINE:COLUMN
  FlowCase flow;
  Actions expected;
  std::string rule; ///< that must decide; empty: whichever
};

struct PolicyFile {
  std::string path;
  std::vector<std::string> vms; ///< names or UUIDs; kEveryOther
  FlowPolicy policy;
  std::vector<PolicyTest> tests;
};

/// Instead of names: each VM that no other file names.
inline constexpr const char *kEveryOther = "*";

/// InvalidInput: "FILE:LINE:COLUMN: what is wrong". Tests are read, not run.
[[nodiscard]] Result<PolicyFile> read_policy(const std::string &path);

/// Of the tests, those that fail, in words with their place.
[[nodiscard]] std::vector<std::string> failed_tests(const PolicyFile &file);

/// The file; or of a folder every *.yaml and *.yml in it, by name.
[[nodiscard]] Result<std::vector<std::string>> policy_paths(const std::string &file_or_folder);

/// Two files that govern the same VM, in words; empty: none.
[[nodiscard]] std::string overlap(const std::vector<PolicyFile> &files);

} // namespace outguard::policy
