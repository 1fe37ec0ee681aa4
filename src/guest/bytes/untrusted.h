#pragma once
// A value that guest or network chose. It cannot be used as a number until a rule has looked at it.

#include <cstdint>

#include "guest/bytes/fault.h"

namespace outguard::guest {

template <class T> class Untrusted {
public:
  constexpr explicit Untrusted(T value) : value_(value) {}

  /// The plain value if `rule(value)` holds, else Malformed.
  template <class Rule> [[nodiscard]] constexpr Result<T> check(Rule rule) const {
    if (!rule(value_)) {
      return fault(FaultCode::Malformed);
    }
    return value_;
  }
  /// The plain value if it is at most `most`, else LimitReached.
  [[nodiscard]] constexpr Result<T> at_most(T most) const {
    if (value_ > most) {
      return fault(FaultCode::LimitReached);
    }
    return value_;
  }
  /// For values that any bit pattern is fine for: to be printed, compared, or used as an address
  /// that the next read checks. Never as a size, count or index.
  [[nodiscard]] constexpr T any_value() const { return value_; }

private:
  T value_;
};

} // namespace outguard::guest
