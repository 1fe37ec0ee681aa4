#pragma once
// The short-lived process that packs an archive of evidence: the parts come as descriptors, the
// archive goes to one. It has no other right, so that the bytes of a guest are hashed and
// compressed where nothing can be gained by it.

#include "base/message_socket.h"

namespace outguard::sensor {

/// Returns when the other side closes, or breaks the protocol.
void run_evidence_packer(MessageSocket control);

} // namespace outguard::sensor
