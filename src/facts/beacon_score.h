#pragma once
// How regularly a guest's program contacts one destination, and the numbers behind it. Made by the
// sensor from the starts and sizes of flows; only the latest contacts are looked at.

#include <cstdint>

#include "facts/guest_text.h"

namespace outguard {

struct BeaconScore {
  std::uint8_t score = 0;      ///< 0 (none or too few contacts) to 100 (a clock)
  std::uint64_t contacts = 0;  ///< all that were counted, also those that are not looked at
  std::uint16_t intervals = 0; ///< the latest, which the numbers below are of
  std::uint64_t mean_interval_ms = 0;
  std::uint64_t median_interval_ms = 0;
  /// The J of an evenly spread "median plus or minus J percent" that is as wide; at most 65535.
  std::uint16_t jitter_percent = 0;
  std::uint64_t mean_bytes = 0; ///< a contact, both ways
  std::uint16_t size_jitter_percent = 0;
  std::int64_t first_ns = 0, last_ns = 0; ///< of all contacts, wall clock since the epoch
  /// Each began within the first seconds of a minute, as what a scheduler (cron) starts does.
  bool clock_aligned = false;
  GuestText destination; ///< the name that was contacted; empty: the flow's remote end

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.score, self.contacts, self.intervals, self.mean_interval_ms, self.median_interval_ms,
         self.jitter_percent, self.mean_bytes, self.size_jitter_percent, self.first_ns,
         self.last_ns, self.clock_aligned, self.destination);
  }
};

} // namespace outguard
