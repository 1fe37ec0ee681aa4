#pragma once
// Rows of `outguard intel ... -o json`. Pure functions, any thread.

#include <string>

#include "facts/flow_seen.h"
#include "facts/indicator_explained.h"
#include "facts/intel_report.h"

namespace outguard::store {

[[nodiscard]] std::string feed_json(const FeedReport &feed);
[[nodiscard]] std::string intel_json(const IntelReport &totals);
[[nodiscard]] std::string hit_json(const IndicatorHit &hit);
/// hit_json() with `state` and `sources`.
[[nodiscard]] std::string explained_json(const IndicatorExplained &explained);
[[nodiscard]] std::string allowed_json(const AllowEntry &entry);

} // namespace outguard::store
