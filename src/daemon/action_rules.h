#pragma once
// What actions mean to each other and to the desk, apart from doing them. Pure functions, any
// thread.

#include <optional>

#include "base/result.h"
#include "facts/action.h"

namespace outguard::daemon {

/// Makes it one that the journal can keep: texts cut and valid UTF-8, a time to live only where it
/// means something. InvalidInput: its parts do not belong together.
[[nodiscard]] Result<ActionWanted> tidy(ActionWanted wanted);

/// Of what is lasting, the ones that the kernel ends at their time by itself. The others the desk
/// ends.
[[nodiscard]] bool ends_in_kernel(ResponseAction action);

/// The same done to the same, for however long and by whomever.
[[nodiscard]] bool same_target(const ActionWanted &one, const ActionWanted &other);
/// Once `later` is done `earlier` is no longer what is in force: a release ends the isolation, the
/// same done again is in its place.
[[nodiscard]] bool ends(const ActionWanted &later, const ActionWanted &earlier);

[[nodiscard]] bool by_policy(const ActionWanted &wanted);
/// Asked, Approved, Acting, Undoing: somebody is at it.
[[nodiscard]] bool is_moving(ActionState state);

/// Where an action is after such an answer; Acting: it is pending.
[[nodiscard]] ActionState state_after(ResponseStatus status);
/// The word for an action that was found to hold.
[[nodiscard]] ResponseStatus status_of_done(ResponseAction action);

} // namespace outguard::daemon
