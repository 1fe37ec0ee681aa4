#include "facts/indicator_explained.h"

namespace outguard {

const char *to_string(IndicatorState state) {
  switch (state) {
  case IndicatorState::Matches:
    return "matches";
  case IndicatorState::Expired:
    return "expired";
  case IndicatorState::NotYetValid:
    return "not_yet_valid";
  case IndicatorState::Allowed:
    return "allowed";
  case IndicatorState::Removed:
    return "removed";
  }
  return "unknown";
}

} // namespace outguard
