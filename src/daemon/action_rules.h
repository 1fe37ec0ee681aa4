#pragma once
// What actions mean to each other and to the desk, apart from doing them. Pure functions, any
// thread.

#include <optional>

#include "base/result.h"
#include "facts/action.h"
#include "facts/protection.h"

namespace outguard::daemon {

/// Makes it one that the journal can keep: texts cut and valid UTF-8, a time to live only where it
/// means something. InvalidInput: its parts do not belong together.
[[nodiscard]] Result<ActionWanted> tidy(ActionWanted wanted);

/// Likewise; InvalidInput: nobody says why.
[[nodiscard]] Result<Protection> tidy(Protection entry, std::chrono::seconds ttl);

/// Of what is lasting, the ones that the kernel ends at their time by itself. The others the desk
/// ends.
[[nodiscard]] bool ends_in_kernel(ResponseAction action);

/// The same done to the same, for however long and by whomever.
[[nodiscard]] bool same_target(const ActionWanted &one, const ActionWanted &other);
/// Once `later` is done `earlier` is no longer what is in force: a release ends the isolation, the
/// same done again is in its place.
[[nodiscard]] bool ends(const ActionWanted &later, const ActionWanted &earlier);

/// Who asks, where a policy's rule does.
[[nodiscard]] std::string policy_actor(const std::string &rule);
[[nodiscard]] bool by_policy(const ActionWanted &wanted);
/// The reverse; empty: it is not by policy.
[[nodiscard]] std::string rule_of_policy(const ActionWanted &wanted);

/// What is done one after the other: a VM's traffic, and what needs its memory or processors. The
/// proof that a process has ended holds up no block.
[[nodiscard]] std::string lane_of(const ActionWanted &wanted);
/// Keeps what it is about from reaching anybody: done before all else.
[[nodiscard]] bool contains(ResponseAction action);
/// Asked, Approved, Acting, Undoing: somebody is at it.
[[nodiscard]] bool is_moving(ActionState state);

/// Where an action is after such an answer; Acting: it is pending.
[[nodiscard]] ActionState state_after(ResponseStatus status);
/// The word for an action that was found to hold.
[[nodiscard]] ResponseStatus status_of_done(ResponseAction action);

} // namespace outguard::daemon
