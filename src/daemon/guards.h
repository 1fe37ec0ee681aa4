#pragma once
// The VMs that are guarded now. Owned by the supervisor, whose thread alone changes it; any thread
// may ask, and holds nobody up: a guard that ends does so outside the lock.

#include <map>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "daemon/enforcement_status.h"
#include "daemon/vm_guard.h"

namespace outguard::daemon {

class Guards {
public:
  /// Ends the guard of this QEMU, if there is one, and its threads.
  void remove(pid_t pid);
  void add(hypervisor::VmFound vm, const Shared &shared);
  /// Ends all, together. Nothing that guards share may end before this has returned.
  void end();

  /// With how its taps are filtered, which the kernel is asked for here.
  [[nodiscard]] std::vector<api::GuardStatus> status() const;
  /// `target` as users write it: a name, a UUID, qmp:PATH or pid:N. NotFound: no VM that is
  /// guarded; InvalidInput: several have this name.
  [[nodiscard]] Result<std::shared_ptr<VmHands>> find(std::string_view target) const;

private:
  mutable std::mutex mutex_; ///< guards the map
  std::map<pid_t, std::unique_ptr<VmGuard>> guards_;
  mutable EnforcementStatus enforcement_; ///< has a lock of its own
};

} // namespace outguard::daemon
