#pragma once
// Ends one TCP connection that somebody names, rather than a finding: both ends are sent a reset,
// and the guest's table of sockets says whether it worked. Waits for the sensor.

#include "daemon/tap_hands.h"
#include "facts/response.h"
#include "launch/sensor_process.h"

namespace outguard::daemon {

/// NotFound: no packet of it was seen, so that no reset can be made. Timeout: sent, and the guest's
/// socket is there all the same.
[[nodiscard]] Result<void> reset_connection(const std::shared_ptr<launch::SensorProcess> &sensor,
                                            TapHands &taps, const FlowTuple &tuple, bool dry);

/// Whether the guest has a socket that speaks to this end, as its tables say.
[[nodiscard]] Result<bool> is_connected(launch::SensorProcess &sensor, const FlowTuple &tuple);

} // namespace outguard::daemon
