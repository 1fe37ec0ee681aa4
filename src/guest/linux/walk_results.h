#pragma once
// What one walk over processes or sockets found, and how far it got.

#include <vector>

#include "facts/process_seen.h"
#include "facts/socket_seen.h"
#include "guest/linux/completeness.h"

namespace outguard::guest {

struct ProcessesSeen {
  std::vector<ProcessSeen> processes; ///< in order of the kernel's list: oldest first
  Completeness completeness;
};

struct SocketsSeen {
  /// What /proc/net/{tcp,tcp6,udp,...} of all namespaces list, and whatever else a process holds in
  /// a state that should be listed there. Sorted by protocol and addresses.
  std::vector<SocketSeen> sockets;
  /// Held by a process and in no table of the kernel's: created, and neither bound nor connected.
  std::vector<SocketSeen> unbound;
  std::vector<OtherSocketSeen> others; ///< only when all were asked for
  Completeness completeness;
};

} // namespace outguard::guest
