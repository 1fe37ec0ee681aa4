#pragma once
// How a tap is filtered, as the kernel has it, and by what the first rule would be. Changes nothing
// anywhere, so that asking leaves no trace. Any thread.

#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "respond/tap_filter.h"
#include "respond/tap_program.h"

namespace outguard::respond {

struct TapLook {
  std::string mechanism, hook; ///< at work, or what a rule would get; empty: nothing can be had
  bool at_work = false;        ///< a filter is there; it may have no rule any more
  std::string why_not_better;  ///< for people; empty: the best there is
  std::vector<RuleInForce> rules;
  FilterDrops drops;
};

/// `tc`: what TapProgram::probe() said of this host. NotFound: no such tap.
[[nodiscard]] Result<TapLook> look_at_tap(const Fd &netns, const std::string &tap,
                                          const Result<TapHook> &tc);

} // namespace outguard::respond
