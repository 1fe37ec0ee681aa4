#pragma once
// How to reach one VM: what every response to it acts by. A plain value; owns the way to open a
// control, borrows the rest.

#include <functional>
#include <memory>

#include "base/result.h"
#include "hypervisor/vm_control.h"
#include "respond/network_actions.h"
#include "respond/sensor_link.h"

namespace outguard::respond {

/// `network` may be null (no tap: nothing can be blocked or reset).
struct VmHands {
  SensorLink &sensor;
  NetworkActions *network = nullptr;
  /// Called once a plan; the control is let go right after it, since QEMU has one QMP seat.
  std::function<Result<std::unique_ptr<hypervisor::VmControl>>()> open_control;
};

} // namespace outguard::respond
