#pragma once
// The EVE line that tells of a breaker that opened: policies did too much of one action. Pure, any
// thread.

#include <string>

#include "base/clock.h"
#include "facts/action.h"

namespace outguard::store {

/// event_type "breaker"; no tool takes it for an alert.
[[nodiscard]] std::string eve_breaker(const BreakerOpened &opened, WallTime now = wall_now());

} // namespace outguard::store
