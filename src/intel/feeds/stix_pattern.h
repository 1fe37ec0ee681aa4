#pragma once
// Reads a whole STIX pattern and breaks it down to alternatives, each of which by itself makes the
// pattern true. Recursion, size and number are capped. No exceptions.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "intel/feeds/stix_lexer.h"
#include "intel/reject_reason.h"

namespace outguard::intel {

inline constexpr std::size_t kMaxPatternBytes = std::size_t{256}
                                                << 10; ///< lists of thousands of OR
inline constexpr std::size_t kMaxPatternDepth = 32;
inline constexpr std::size_t kMaxAlternatives = 8192;
inline constexpr std::size_t kMaxTerms = 16; ///< joined by AND

struct StixTerm {
  std::string path;     ///< "file:hashes.SHA-256": parts without their quotes
  std::string relation; ///< "=", "ISSUBSET", or another, which says no value
  StixToken value;
};

struct StixAlternative {
  std::vector<StixTerm> terms;  ///< all of them at once
  const char *beyond = nullptr; ///< what of the language makes it more than that: "FOLLOWEDBY", ...
};

[[nodiscard]] Parsed<std::vector<StixAlternative>> parse_stix_pattern(std::string_view text);

} // namespace outguard::intel
