#pragma once
// Clears away at a start what nobody owns any more: filters of taps that are gone, what ended rules
// hold, what a build of another layout left at a tap. After the desk has put back what its journal
// wants. Owned by the supervisor; its thread.

#include <map>

#include "base/clock.h"
#include "hypervisor/vm_found.h"

namespace outguard::daemon {

class Leftovers {
public:
  /// A VM is guarded (again).
  void take(const hypervisor::VmFound &vm);
  /// What is due; returns at once where nothing is.
  void sweep();

private:
  struct Due {
    hypervisor::VmFound vm;
    MonotonicTime at;
  };
  std::map<pid_t, Due> due_;
};

} // namespace outguard::daemon
