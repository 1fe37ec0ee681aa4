#include "daemon/log_pace.h"

#include <algorithm>
#include <utility>

namespace outguard::daemon {

std::optional<std::uint64_t> LogPace::take(MonotonicTime now) {
  const auto full_at = std::max(full_at_, now) + kBetween;
  if (full_at - now > kAtOnce * kBetween) {
    ++left_out_;
    return std::nullopt;
  }
  full_at_ = full_at;
  return std::exchange(left_out_, 0);
}

} // namespace outguard::daemon
