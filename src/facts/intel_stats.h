#pragma once
// What compiled intelligence holds, counted: what `intel stats` tells.

#include <cstdint>
#include <vector>

#include "facts/flow_seen.h"

namespace outguard {

struct TypeCount {
  IndicatorType type = IndicatorType::Address;
  std::uint64_t count = 0;

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.type, self.count);
  }
};

struct SourceCount {
  GuestText source;
  std::uint64_t listed = 0;
  std::uint64_t alone = 0;   ///< of those, listed by no other source
  std::uint64_t expired = 0; ///< of those listed, by this source's own word

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.source, self.listed, self.alone, self.expired);
  }
};

struct IntelStats {
  static constexpr std::size_t kConfidenceSteps = 10; ///< 0 to 9, 10 to 19, ... 90 to 100
  static constexpr std::size_t kMostSources = 200;

  std::uint64_t indicators = 0; ///< different ones
  std::uint64_t mentions = 0;   ///< of them by sources
  std::uint64_t allowed = 0;    ///< entries of allowlists
  std::uint64_t image_bytes = 0;
  std::uint64_t expired = 0; ///< by all that list them
  std::uint64_t not_yet_valid = 0;
  std::uint64_t with_end = 0; ///< have a valid_until
  std::uint64_t flagged = 0;  ///< kept, though a warninglist has them
  std::vector<TypeCount> types;
  std::vector<std::uint64_t> confidence; ///< kConfidenceSteps counts
  std::vector<SourceCount> sources;      ///< the longest first, at most kMostSources
  std::uint64_t sources_left_out = 0;

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.indicators, self.mentions, self.allowed, self.image_bytes, self.expired,
         self.not_yet_valid, self.with_end, self.flagged, self.types, self.confidence, self.sources,
         self.sources_left_out);
  }
};

} // namespace outguard
