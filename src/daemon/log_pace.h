#pragma once
// How often one guard writes to the log. A sensor that was taken over reports what it likes, as
// fast as it likes; the log is the analyst's. Plain state, no clock of its own.

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace outguard::daemon {

/// Some lines at once, and then one every now and again.
class LogPace {
public:
  static constexpr int kAtOnce = 20;
  static constexpr std::chrono::seconds kBetween{5};

  /// nullopt: this line is left out. Otherwise how many were, since the last that was not.
  [[nodiscard]] std::optional<std::uint64_t> take(MonotonicTime now);

private:
  MonotonicTime full_at_{}; ///< all kAtOnce are there again; each line moves it on by kBetween
  std::uint64_t left_out_ = 0;
};

} // namespace outguard::daemon
