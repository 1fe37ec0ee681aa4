#pragma once
// Rows of `outguard intel ... -o json`. Pure functions, any thread.

#include <string>

#include "facts/flow_seen.h"
#include "facts/intel_report.h"
#include "facts/intel_stats.h"

namespace outguard::store {

[[nodiscard]] std::string feed_json(const FeedReport &feed);
[[nodiscard]] std::string intel_json(const IntelReport &totals);
[[nodiscard]] std::string hit_json(const IndicatorHit &hit);
/// `added`, `removed`: by hand, in force beside the lists.
[[nodiscard]] std::string stats_json(const IntelStats &stats, std::uint64_t added,
                                     std::uint64_t removed);
/// `change`: "added" or "removed".
[[nodiscard]] std::string change_json(const std::string &change, const std::string &value,
                                      const std::string &note);

} // namespace outguard::store
