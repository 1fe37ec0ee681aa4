#pragma once
// Says when something that changed has stood still long enough to be taken: a file that is being
// written is not read half, and what never stands still is not put off for ever. Plain state: the
// caller brings what it saw and the time. One thread.

#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace outguard::daemon {

class Settling {
public:
  static constexpr std::chrono::milliseconds kStill{200};
  static constexpr std::chrono::milliseconds kMost{5000};

  explicit Settling(std::uint64_t taken) : taken_(taken) {}

  /// `seen` stands for the state of all that is watched. True: take it now; it then counts as
  /// taken.
  [[nodiscard]] bool look(std::uint64_t seen, MonotonicTime now);
  /// It wants to be looked at again soon.
  [[nodiscard]] bool is_moving() const { return moving_.has_value(); }

private:
  struct Moving {
    std::uint64_t seen;
    MonotonicTime first, since;
  };
  std::uint64_t taken_;
  std::optional<Moving> moving_;
};

} // namespace outguard::daemon
