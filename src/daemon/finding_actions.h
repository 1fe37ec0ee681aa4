#pragma once
// What a finding's responses are as actions, and what became of those as responses of its alert.
// Pure functions, any thread.

#include <memory>
#include <vector>

#include "facts/action.h"
#include "facts/finding.h"

namespace outguard::daemon {

/// Each for all holders of the socket, where it is about a process; none: there is none.
[[nodiscard]] std::vector<ActionWanted> actions_of(const std::shared_ptr<const Finding> &finding,
                                                   const ResponseWanted &wanted,
                                                   const std::string &vm,
                                                   const std::vector<IpNetwork> &always_allowed);

/// Contain, reset, collect evidence, then touch processes.
[[nodiscard]] std::vector<ResponseWanted> in_order(std::vector<ResponseWanted> wanted);

[[nodiscard]] ResponseDone done_of(const ActionRecord &record, const Finding &finding);

/// What every isolation lets through, with what this one does; sorted.
[[nodiscard]] IsolationRule isolation_of(IsolationRule rule,
                                         const std::vector<IpNetwork> &always_allowed);

} // namespace outguard::daemon
