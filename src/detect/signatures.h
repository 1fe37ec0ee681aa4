#pragma once
// The fixed part of an alert: numbers and texts that other tools filter on. Holds nothing of guest
// or feed. A number is never reused for another meaning.

#include <cstdint>
#include <string_view>

#include "facts/flow_seen.h"

namespace outguard::detect {

struct Signature {
  std::uint32_t id;
  std::string_view text;
  std::string_view category;
};

[[nodiscard]] const Signature &signature_for(IndicatorType type);
/// What is told apart before the type of the indicator.
[[nodiscard]] const Signature &signature_for(const MatchSeen &match);

} // namespace outguard::detect
