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

} // namespace outguard
