#pragma once
// Which of the guest's processes answer others' questions about names: stub resolvers and name
// servers, known by a socket bound to port 53. A match in their name resolution is somebody else's.
// Reads the guest's sockets at most every kFresh. One thread.

#include <vector>

#include "base/clock.h"
#include "guest/linux/linux_guest.h"

namespace outguard::sensor {

class NameServers {
public:
  static constexpr std::chrono::milliseconds kFresh{200};

  /// Does the flow carry questions about names, or may it where it is encrypted?
  [[nodiscard]] static bool is_name_resolution(const FlowSeen &flow);
  /// Whether one of the flow's holders is one of them. True, too, where the sockets could not all
  /// be read and nobody knows.
  [[nodiscard]] bool hold(const Attribution &attribution, guest::LinuxGuest &guest,
                          MonotonicTime now);

private:
  std::vector<ProcessIdentity> processes_; ///< sorted
  bool complete_ = false;
  MonotonicTime read_{};
};

} // namespace outguard::sensor
