#pragma once
// Whom a match speaks against: one table (docs/detection.md), so that a response never hits who
// only carried, answered or was asked for what is listed. Pure.

#include <string_view>

#include "facts/flow_seen.h"

namespace outguard::detect {

/// Each empty: accused. Else why not, in words that the response's reason gives.
struct Accused {
  std::string_view why_not_connection; ///< may this very flow be blocked and reset?
  std::string_view why_not_process;    ///< may who holds its socket be ended?
};

[[nodiscard]] Accused accused_by(const MatchSeen &match);
/// By what was observed alone.
[[nodiscard]] Accused accused_by(ObservableKind observed);

} // namespace outguard::detect
