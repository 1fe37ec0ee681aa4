#include "facts/response.h"

namespace outguard {

const char *to_string(ResponseAction action) {
  switch (action) {
  case ResponseAction::Reset:
    return "reset";
  case ResponseAction::BlockFlow:
    return "block_flow";
  case ResponseAction::BlockRemote:
    return "block_remote";
  case ResponseAction::BlockPort:
    return "block_port";
  case ResponseAction::Isolate:
    return "isolate";
  case ResponseAction::Release:
    return "release";
  case ResponseAction::Kill:
    return "kill";
  case ResponseAction::Suspend:
    return "suspend";
  case ResponseAction::Resume:
    return "resume";
  case ResponseAction::PauseVm:
    return "pause_vm";
  case ResponseAction::UnpauseVm:
    return "unpause_vm";
  case ResponseAction::Evidence:
    return "evidence";
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
  case ResponseStatus::Waiting:
    return "waiting";
  case ResponseStatus::Suspended:
    return "suspended";
  case ResponseStatus::Done:
    return "done";
  case ResponseStatus::Undone:
    return "undone";
  }
  return "unknown";
}

const char *to_string(ResponseMode mode) {
  switch (mode) {
  case ResponseMode::Monitor:
    return "monitor";
  case ResponseMode::Enforce:
    return "enforce";
  case ResponseMode::Prevent:
    return "prevent";
  }
  return "unknown";
}

} // namespace outguard
