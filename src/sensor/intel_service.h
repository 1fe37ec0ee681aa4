#pragma once
// The other life of outguard-sensor: compiles feeds into an image and ends. Same sandbox, no guest.

#include "base/message_socket.h"

namespace outguard::sensor {

/// Answers AddFeed and CompileIntel until the other side closes.
void run_intel_service(MessageSocket control);

} // namespace outguard::sensor
