#pragma once
// Why a value would raise an alert, or why not: what `intel explain` tells.

#include <cstdint>
#include <optional>
#include <vector>

#include "facts/flow_seen.h"

namespace outguard {

/// An entry of an allowlist: what it covers is not told, whoever lists it.
struct AllowEntry {
  GuestText value;
  GuestText comment;
  GuestText source;
  std::uint32_t line = 0;
  std::int64_t valid_until = 0; ///< seconds since the epoch; 0: no end

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.value, self.comment, self.source, self.line, self.valid_until);
  }
};

enum class IndicatorState : std::uint8_t {
  Matches,
  Expired,
  NotYetValid,
  Allowed, ///< would match, but an allowlist covers the value
  Removed, ///< taken back since the image was compiled
};
/// "matches", "expired", "not_yet_valid", "allowed", "removed".
[[nodiscard]] const char *to_string(IndicatorState state);

struct IndicatorExplained {
  IndicatorHit hit;
  IndicatorState state = IndicatorState::Matches;
  std::vector<GuestText> sources; ///< "file:line", the one of the hit first

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.hit, self.state, self.sources);
  }
};

struct ValueExplained {
  std::vector<IndicatorExplained> indicators; ///< none: not listed
  std::optional<AllowEntry> allowed_by;       ///< also where nothing lists the value
  GuestText a_labels; ///< a value in another script as it is on the wire; else empty
  GuestText u_labels; ///< what A-labels in the value mean, UTF-8; else empty

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.indicators, self.allowed_by, self.a_labels, self.u_labels);
  }
};

} // namespace outguard
