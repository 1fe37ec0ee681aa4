#pragma once
// Turns the latest contacts with one destination into a score. Pure arithmetic on a few numbers,
// robust against some that are off: medians and deciles, no sums of squares.

#include <span>

#include "facts/beacon_score.h"

namespace outguard::sensor {

struct Contact {
  std::int64_t start_ns = 0; ///< wall clock since the epoch
  std::uint64_t bytes = 0;   ///< both ways
};

/// Fewer intervals than this say nothing: the score is 0.
inline constexpr std::size_t kLeastIntervals = 4;
inline constexpr std::size_t kMostIntervals = 16;

/// `contacts` in the order of their starts; at most the latest kMostIntervals + 1 are looked at.
/// Fills in everything but what only who counts all contacts knows.
[[nodiscard]] BeaconScore score_contacts(std::span<const Contact> contacts);

} // namespace outguard::sensor
