#pragma once
// A VM as its QEMU process shows it, and what of it cannot be used. A plain value: everything in it
// may be out of date a moment later, so who opens something through it checks pid and start_time
// again.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "facts/vm_identity.h"

namespace outguard::hypervisor {

struct TapFound {
  std::string name;
  std::uint64_t netns = 0; ///< inode of the network namespace that the device is in; 0: not known
  int qemu_fd = -1;        ///< QEMU's descriptor of /dev/net/tun

  bool operator==(const TapFound &) const = default;
};

struct VmFound {
  pid_t pid = 0;
  std::uint64_t start_time = 0; ///< of the process, clock ticks since boot
  std::string name;             ///< chosen by the VM's owner: print it through GuestText only
  std::string uuid;             ///< lower case; empty: none on the command line
  std::string machine;
  std::string accel;
  std::optional<std::uint64_t> memory_bytes;
  std::string qmp_path;          ///< reachable from here as it stands; empty: none
  std::uint64_t netns = 0;       ///< of the process itself
  std::vector<TapFound> taps;    ///< those that QEMU really holds open
  std::vector<std::string> gaps; ///< what is missing and why, in our own words

  /// The UUID, or a stand-in that lasts as long as the process.
  [[nodiscard]] std::string key() const {
    return !uuid.empty() ? uuid : "qemu-" + std::to_string(pid) + "-" + std::to_string(start_time);
  }
  [[nodiscard]] VmIdentity identity() const { return {key(), GuestText(name), "qemu", {}}; }
  [[nodiscard]] bool same_process(const VmFound &other) const {
    return pid == other.pid && start_time == other.start_time;
  }

  bool operator==(const VmFound &) const = default;
};

} // namespace outguard::hypervisor
