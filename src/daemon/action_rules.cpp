#include "daemon/action_rules.h"

#include <limits>

#include <fmt/format.h>

#include "base/printable.h"

namespace outguard::daemon {

namespace {

constexpr std::size_t kLongestText =
    1024; ///< four times that once it is escaped is still read back
constexpr std::string_view kPolicy = "policy ";
constexpr std::chrono::seconds kLongestTtl = std::chrono::hours(24 * 366);

void tidy_text(std::string &text) {
  text.resize(std::min(text.size(), kLongestText));
  if (!is_utf8(text)) {
    text = to_printable(text);
  }
}

bool wants_process(ResponseAction action) {
  return action == ResponseAction::Kill || action == ResponseAction::Suspend ||
         action == ResponseAction::Resume;
}

bool is_block(ResponseAction action) {
  return action == ResponseAction::BlockFlow || action == ResponseAction::BlockRemote ||
         action == ResponseAction::BlockPort || action == ResponseAction::Isolate;
}

/// Which alternative of NetworkRule an action has; nullopt: none.
std::optional<std::size_t> rule_of(ResponseAction action) {
  switch (action) {
  case ResponseAction::Reset:
  case ResponseAction::BlockFlow:
    return NetworkRule(FlowRule{}).index();
  case ResponseAction::BlockRemote:
    return NetworkRule(RemoteRule{}).index();
  case ResponseAction::BlockPort:
    return NetworkRule(PortRule{}).index();
  case ResponseAction::Isolate:
    return NetworkRule(IsolationRule{}).index();
  default:
    return std::nullopt;
  }
}

Result<void> check_rule(const ActionWanted &wanted) {
  const auto expected = rule_of(wanted.action);
  const auto has = wanted.rule ? std::optional(wanted.rule->index()) : std::nullopt;
  if (has != expected) {
    return fail(ErrorCode::InvalidInput,
                fmt::format("{} {}", to_string(wanted.action),
                            expected ? "needs a rule of its kind" : "has no network rule"));
  }
  if (is_block(wanted.action) && wanted.ttl.count() <= 0) {
    return fail(ErrorCode::InvalidInput,
                fmt::format("{} needs a time to live", to_string(wanted.action)));
  }
  return {};
}

Result<void> check_process(const ActionWanted &wanted) {
  if (!wanted.process) {
    return wants_process(wanted.action)
               ? Result<void>(fail(ErrorCode::InvalidInput,
                                   fmt::format("{} needs a process", to_string(wanted.action))))
               : Result<void>();
  }
  constexpr auto kLatest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (wanted.process->pid <= 0 || wanted.process->start_boottime_ns > kLatest) {
    return fail(ErrorCode::InvalidInput, "no process has this identity");
  }
  return {};
}

} // namespace

Result<ActionWanted> tidy(ActionWanted wanted) {
  for (std::string *text : {&wanted.vm, &wanted.actor, &wanted.why}) {
    tidy_text(*text);
  }
  if (wanted.vm.empty() || wanted.actor.empty()) {
    return fail(ErrorCode::InvalidInput, "an action names its VM and who asks for it");
  }
  if (wanted.ttl.count() < 0 || wanted.ttl > kLongestTtl) {
    return fail(ErrorCode::InvalidInput, "a time to live is at most a year");
  }
  if (const auto good = check_rule(wanted); !good) {
    return tl::unexpected(good.error());
  }
  if (const auto good = check_process(wanted); !good) {
    return tl::unexpected(good.error());
  }
  if (!is_lasting(wanted.action)) {
    wanted.ttl = {};
  }
  return wanted;
}

Result<Protection> tidy(Protection entry, std::chrono::seconds ttl) {
  for (std::string *text : {&entry.vm, &entry.actor, &entry.why}) {
    tidy_text(*text);
  }
  if (entry.why.empty() || entry.actor.empty()) {
    return fail(ErrorCode::InvalidInput, "what is protected says who wants it and why");
  }
  if (ttl.count() < 0 || ttl > kLongestTtl) {
    return fail(ErrorCode::InvalidInput, "a time to live is at most a year");
  }
  return entry;
}

bool ends_in_kernel(ResponseAction action) {
  return is_block(action);
}

bool same_target(const ActionWanted &one, const ActionWanted &other) {
  return one.action == other.action && one.vm == other.vm && one.process == other.process &&
         one.tree == other.tree && one.rule == other.rule;
}

bool ends(const ActionWanted &later, const ActionWanted &earlier) {
  if (later.vm != earlier.vm) {
    return false;
  }
  if (is_lasting(later.action) && same_target(later, earlier)) {
    return true;
  }
  switch (later.action) {
  case ResponseAction::Isolate: // a VM has one isolation, with the latest allowlist
  case ResponseAction::Release:
    return earlier.action == ResponseAction::Isolate;
  case ResponseAction::UnpauseVm:
    return earlier.action == ResponseAction::PauseVm;
  case ResponseAction::Resume:
  case ResponseAction::Kill:
    return earlier.action == ResponseAction::Suspend && earlier.process == later.process;
  default:
    return false;
  }
}

std::string policy_actor(const std::string &rule) {
  return std::string(kPolicy) + rule;
}

bool by_policy(const ActionWanted &wanted) {
  return wanted.actor.starts_with(kPolicy);
}

std::string rule_of_policy(const ActionWanted &wanted) {
  return by_policy(wanted) ? wanted.actor.substr(kPolicy.size()) : std::string();
}

bool contains(ResponseAction action) {
  return is_block(action);
}

std::string lane_of(const ActionWanted &wanted) {
  const bool of_traffic = is_block(wanted.action) || wanted.action == ResponseAction::Release ||
                          wanted.action == ResponseAction::Reset;
  return wanted.vm + (of_traffic ? " traffic" : " memory");
}

bool is_moving(ActionState state) {
  return state == ActionState::Asked || state == ActionState::Approved ||
         state == ActionState::Acting || state == ActionState::Undoing;
}

ActionState state_after(ResponseStatus status) {
  switch (status) {
  case ResponseStatus::Pending:
    return ActionState::Acting;
  case ResponseStatus::Reset:
  case ResponseStatus::Blocked:
  case ResponseStatus::Killed:
  case ResponseStatus::DryRun:
  case ResponseStatus::Suspended:
  case ResponseStatus::Done:
  case ResponseStatus::Undone:
    return ActionState::Done;
  case ResponseStatus::Refused:
  case ResponseStatus::Skipped:
    return ActionState::Refused;
  case ResponseStatus::NotPossible:
  case ResponseStatus::Failed:
  case ResponseStatus::Waiting: // the desk alone waits
    return ActionState::Failed;
  }
  return ActionState::Failed;
}

ResponseStatus status_of_done(ResponseAction action) {
  switch (action) {
  case ResponseAction::Reset:
    return ResponseStatus::Reset;
  case ResponseAction::BlockFlow:
  case ResponseAction::BlockRemote:
  case ResponseAction::BlockPort:
    return ResponseStatus::Blocked;
  case ResponseAction::Kill:
    return ResponseStatus::Killed;
  case ResponseAction::Suspend:
    return ResponseStatus::Suspended;
  default:
    return ResponseStatus::Done;
  }
}

} // namespace outguard::daemon
