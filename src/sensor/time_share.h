#pragma once
// A share of the time for what may take long and must not hold up the rest: saved up while it is
// not used, up to a limit.

#include <algorithm>

#include "base/clock.h"

namespace outguard::sensor {

class TimeShare {
public:
  static constexpr int kPart = 5; ///< a fifth
  static constexpr std::chrono::milliseconds kMostSaved{100};

  [[nodiscard]] bool has_some(MonotonicTime now) const { return used_up_until_ <= now; }
  void spend(MonotonicTime began, MonotonicTime ended) {
    used_up_until_ = std::max(used_up_until_, ended - kPart * kMostSaved) + kPart * (ended - began);
  }

private:
  MonotonicTime used_up_until_{}; ///< so far ahead of its share it is
};

} // namespace outguard::sensor
