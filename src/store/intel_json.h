#pragma once
// Rows of `outguard intel ... -o json`. Pure functions, any thread.

#include <string>

#include "facts/flow_seen.h"
#include "facts/intel_report.h"

namespace outguard::store {

[[nodiscard]] std::string feed_json(const FeedReport &feed);
[[nodiscard]] std::string intel_json(const IntelReport &totals);
[[nodiscard]] std::string hit_json(const IndicatorHit &hit);

} // namespace outguard::store
