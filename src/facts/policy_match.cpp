#include "facts/policy_match.h"

namespace outguard {

const char *to_string(PolicyAction action) {
  switch (action) {
  case PolicyAction::Alert:
    return "alert";
  case PolicyAction::Block:
    return "block";
  case PolicyAction::Suspend:
    return "suspend";
  case PolicyAction::Kill:
    return "kill";
  case PolicyAction::Isolate:
    break;
  }
  return "isolate";
}

const char *to_string(PolicyBy by) {
  switch (by) {
  case PolicyBy::Rule:
    return "rule";
  case PolicyBy::Default:
    return "default";
  case PolicyBy::Unknown:
    break;
  }
  return "unknown";
}

bool PolicyActions::valid() const {
  std::uint8_t all = 0;
  for (const auto action : kPolicyActions) {
    all = static_cast<std::uint8_t>(all | static_cast<std::uint8_t>(action));
  }
  return (bits_ & ~all) == 0;
}

std::string PolicyActions::words() const {
  std::string text;
  for (const auto action : kPolicyActions) {
    if (has(action)) {
      text += (text.empty() ? "" : ", ") + std::string(to_string(action));
    }
  }
  return text.empty() ? "allow" : text;
}

} // namespace outguard
