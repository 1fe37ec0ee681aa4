#pragma once
// Connecting to a Unix socket by path, whatever the length of the path.

#include <chrono>
#include <string>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"

namespace outguard::hypervisor {

struct UnixPeer {
  Fd socket;     ///< connected stream, non-blocking, close-on-exec
  pid_t pid = 0; ///< who called listen()
};

/// NotFound: no socket; Unreachable: nobody listens; Timeout: somebody listens, and its queue
/// stayed full.
[[nodiscard]] Result<UnixPeer> connect_unix(const std::string &path,
                                            std::chrono::milliseconds wait);

} // namespace outguard::hypervisor
