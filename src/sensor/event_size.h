#pragma once
// An attribution that fits into one event or answer, whatever the guest made of its processes: a
// socket held by thousands, names of 4 KiB each, arguments without end.

#include "facts/messages.h"

namespace outguard::sensor {

/// Into half of kMaxEventBytes: the rest is for what is told with it. What does not fit becomes
/// unknown, of the first process last. Holders beyond 64 are left out, and the attribution is then
/// ambiguous.
void fit_into_event(Attribution &attribution);

} // namespace outguard::sensor
