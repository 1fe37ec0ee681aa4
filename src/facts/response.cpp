#include "facts/response.h"

namespace outguard {

const char *to_string(ResponseAction action) {
  switch (action) {
  case ResponseAction::Reset:
    return "reset";
  case ResponseAction::BlockFlow:
    return "block_flow";
  case ResponseAction::Kill:
    return "kill";
  }
  return "unknown";
}

const char *to_string(ResponseStatus status) {
  switch (status) {
  case ResponseStatus::Pending:
    return "pending";
  case ResponseStatus::Reset:
    return "reset";
  case ResponseStatus::Blocked:
    return "blocked";
  case ResponseStatus::Killed:
    return "killed";
  case ResponseStatus::DryRun:
    return "dry_run";
  case ResponseStatus::Refused:
    return "refused";
  case ResponseStatus::NotPossible:
    return "not_possible";
  case ResponseStatus::Failed:
    return "failed";
  case ResponseStatus::Skipped:
    return "skipped";
  }
  return "unknown";
}

const char *to_string(ResponseMode mode) {
  switch (mode) {
  case ResponseMode::Monitor:
    return "monitor";
  case ResponseMode::Enforce:
    return "enforce";
  }
  return "unknown";
}

} // namespace outguard
