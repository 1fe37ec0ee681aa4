#pragma once
// The bound of one walk over foreign pointers: how many steps and how many bytes it may still take.
// Passed by reference to every walker; once exhausted it stays so, the walk ends with LimitReached
// and keeps, flagged as partial, what it has found.

#include <cstdint>

#include "guest/bytes/fault.h"

namespace outguard::guest {

class WalkBudget {
public:
  constexpr WalkBudget(std::uint64_t steps, std::uint64_t bytes) : steps_(steps), bytes_(bytes) {}

  /// Call once a link followed or element visited. False: stop now.
  [[nodiscard]] bool step() {
    if (steps_ == 0) {
      exhausted_ = true;
      return false;
    }
    --steps_;
    return true;
  }
  /// Call with the size of each read. False: stop now.
  [[nodiscard]] bool take_bytes(std::uint64_t count) {
    if (count > bytes_) {
      bytes_ = 0;
      exhausted_ = true;
      return false;
    }
    bytes_ -= count;
    return true;
  }
  [[nodiscard]] bool exhausted() const { return exhausted_; }
  [[nodiscard]] std::uint64_t steps_left() const { return steps_; }

private:
  std::uint64_t steps_;
  std::uint64_t bytes_;
  bool exhausted_ = false;
};

} // namespace outguard::guest
