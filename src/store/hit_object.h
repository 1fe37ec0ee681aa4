#pragma once
// The members of an indicator that rows of `outguard intel` share. For this folder's sources only.

#include "facts/flow_seen.h"
#include "store/json_value.h"

namespace outguard::store {

[[nodiscard]] inline Json time_or_null(std::int64_t seconds) {
  return seconds == 0 ? Json() : Json(seconds);
}
[[nodiscard]] Json hit_object(const IndicatorHit &hit);

} // namespace outguard::store
