#pragma once
// When the sensor runs. A client may open a flow, send and be gone within a millisecond, on a host
// whose processors are full of guests.

#include <cstdint>

namespace outguard::sensor {

/// Asks the scheduler for a short slice, so that this thread is run soon after it woke. Its share
/// of the processor stays as it is, and no privilege is needed. Linux 6.12 (EEVDF) and later; an
/// older kernel takes the wish and does nothing. Returns the slice it has now, in ns; 0: unknown.
std::uint64_t ask_for_short_slices();

} // namespace outguard::sensor
