#pragma once
// How bad a match is before policy says otherwise: one table, documented in docs/json.md. Pure.

#include "facts/finding.h"

namespace outguard::detect {

/// Who began the flow, and what came of it.
enum class Reach : std::uint8_t {
  GuestBegan,    ///< something in the guest went there
  GuestAnswered, ///< begun outside, and the guest let it in
  Unanswered,    ///< begun outside, and nobody answered
};
[[nodiscard]] Reach reach_of(const MatchSeen &match);

/// By what is listed, how sure the source is, what it says of the severity, and who began. A beacon
/// that nobody lists is Low. Of what the VM's policy refuses, by what it wants done.
[[nodiscard]] Severity severity_of(const MatchSeen &match);

} // namespace outguard::detect
