#pragma once
// When a guard attaches to its guest again: after attempts that failed, and on doubts of a sensor.
// A sensor chooses its states and doubts, the supervisor pays for each with a QMP connection: both
// are held to a pace. Plain state, no clock of its own.

#include <chrono>
#include <optional>

#include "base/clock.h"
#include "facts/messages.h"

namespace outguard::daemon {

/// For a guest that is not ready. One that boots is tried often for a while, so that its kernel is
/// found within half a second; one that stays in its firmware, and what cannot be read for other
/// reasons, ever more rarely. Where nobody can ask QEMU for registers each attempt reads all RAM:
/// whatever one costs, attempts take no more than a fifth of the time.
class AttachRetry {
public:
  static constexpr std::chrono::milliseconds kFirst{250};
  static constexpr std::chrono::milliseconds kWhileBooting{300};
  static constexpr std::chrono::minutes kBootTime{2};
  static constexpr std::chrono::milliseconds kLongest{5000};

  explicit AttachRetry(MonotonicTime now) : due_(now + kFirst) {}
  /// True: the caller attaches now.
  [[nodiscard]] bool is_due(GuestState state, MonotonicTime now);
  /// An attempt, whoever wanted it, lasted from `began` to `now`.
  void took(MonotonicTime began, MonotonicTime now);

private:
  static constexpr int kRestPerWork = 4;
  static constexpr std::chrono::seconds kLongestRest{30}; ///< nobody is attributed meanwhile

  MonotonicTime due_;
  std::chrono::milliseconds pause_ = kFirst;
  std::optional<MonotonicTime> since_; ///< it was no longer ready; nullopt: it is
};

/// What a sensor wants found out. Doubts that come faster than they are settled become one.
class PendingDoubt {
public:
  /// No honest sensor doubts its kernel more often.
  static constexpr std::chrono::milliseconds kPace{500};

  void raise(Doubt doubt);
  /// The doubt to settle now; nullopt: none, or the last one was settled a moment ago.
  [[nodiscard]] std::optional<Doubt> take(MonotonicTime now);

private:
  std::optional<Doubt> waiting_;
  std::optional<MonotonicTime> taken_at_;
};

} // namespace outguard::daemon
