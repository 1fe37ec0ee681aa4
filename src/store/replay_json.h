#pragma once
// The last line of a replay's EVE. Pure, any thread.

#include <string>

#include "facts/messages.h"

namespace outguard::store {

/// event_type "stats": packets by what became of them, other counters, time per stage.
[[nodiscard]] std::string eve_stats(const ReplayDone &done, const GuestText &capture);

} // namespace outguard::store
