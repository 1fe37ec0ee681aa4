#include "facts/action.h"

namespace outguard {

const char *to_string(ActionState state) {
  switch (state) {
  case ActionState::Asked:
    return "asked";
  case ActionState::Waiting:
    return "waiting";
  case ActionState::Approved:
    return "approved";
  case ActionState::Acting:
    return "acting";
  case ActionState::Done:
    return "done";
  case ActionState::Failed:
    return "failed";
  case ActionState::Refused:
    return "refused";
  case ActionState::Undoing:
    return "undoing";
  case ActionState::Undone:
    return "undone";
  case ActionState::Expired:
    return "expired";
  }
  return "unknown";
}

bool is_lasting(ResponseAction action) {
  switch (action) {
  case ResponseAction::BlockFlow:
  case ResponseAction::BlockRemote:
  case ResponseAction::BlockPort:
  case ResponseAction::Isolate:
  case ResponseAction::Suspend:
  case ResponseAction::PauseVm:
    return true;
  default:
    return false;
  }
}

bool is_in_force(const ActionRecord &record) {
  return record.state == ActionState::Done && is_lasting(record.wanted.action) &&
         record.status != ResponseStatus::DryRun;
}

bool is_open(const ActionRecord &record) {
  switch (record.state) {
  case ActionState::Done:
    return is_in_force(record);
  case ActionState::Failed:
  case ActionState::Refused:
  case ActionState::Undone:
  case ActionState::Expired:
    return false;
  default:
    return true;
  }
}

} // namespace outguard
