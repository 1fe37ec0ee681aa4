#include "facts/finding.h"

namespace outguard {

const char *to_string(Severity severity) {
  switch (severity) {
  case Severity::High:
    return "high";
  case Severity::Medium:
    return "medium";
  case Severity::Low:
    return "low";
  }
  return "unknown";
}

} // namespace outguard
