#pragma once
// How the taps of the guarded VMs are filtered, asked of the kernel whenever somebody wants to
// know. Changes nothing. Any thread.

#include <mutex>
#include <optional>
#include <vector>

#include "api/supervisor_status.h"
#include "base/clock.h"
#include "hypervisor/vm_found.h"
#include "respond/tap_look.h"

namespace outguard::daemon {

class EnforcementStatus {
public:
  [[nodiscard]] std::vector<api::TapStatus> of(const hypervisor::VmFound &vm);

private:
  [[nodiscard]] Result<respond::TapHook> host();

  std::mutex mutex_; ///< guards all below
  std::optional<Result<respond::TapHook>> host_;
  MonotonicTime asked_;
};

} // namespace outguard::daemon
