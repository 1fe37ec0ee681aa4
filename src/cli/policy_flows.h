#pragma once
// The policy commands' common parts: a flow that was judged as people or programs read it, and what
// a running guest holds.

#include <optional>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/target.h"
#include "policy/explanation.h"
#include "policy/files/policy_file.h"

namespace outguard::cli {

/// One line, or a JSON row.
void print_verdict(const Common &common, const policy::PolicyFile &file,
                   const policy::FlowFacts &flow);
/// With every holder against every rule.
void print_explanation(const Common &common, const policy::PolicyFile &file,
                       const policy::FlowFacts &flow);

/// "tcp 10.0.0.2:4000 -> 9.9.9.9:443".
[[nodiscard]] std::string flow_words(const FlowTuple &tuple, FlowDirection initiator);

/// What a guest's socket says of who talks, or may: owned.
struct LiveFlow {
  FlowTuple tuple; ///< of a socket that listens the remote end is unspecified
  FlowDirection initiator = FlowDirection::ToRemote;
  bool listens = false;
  Attribution attribution;
};

struct LiveFlows {
  std::vector<LiveFlow> flows;
  Completeness completeness;
};
/// Every connection that leaves the guest, and every socket that waits for one; not those that stay
/// inside it.
[[nodiscard]] Result<LiveFlows> live_flows(OpenedTarget &target);

} // namespace outguard::cli
