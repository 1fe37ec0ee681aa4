#pragma once
// Hands a sensor what it may read: a VM's memory, its taps, a dump, a capture, intelligence. Opens
// with the caller's privilege, passes descriptors, reads none of the bytes behind them.

#include <chrono>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "facts/messages.h"
#include "hypervisor/memory_opener.h"
#include "hypervisor/vm_found.h"
#include "launch/sensor_process.h"
#include "launch/symbol_files.h"

namespace outguard::launch {

struct LiveAttachment {
  GuestStateSeen state;
  MemoryLayout writable;              ///< where a write plan may write
  std::string memory;                 ///< "mapped" or "process": how RAM is read
  std::chrono::nanoseconds connect{}; ///< QMP and opening, the privileged part of the attach
};

/// Opens the VM's memory anew and lets the sensor look for the kernel. A guest that cannot be read
/// is no error: the state says so. Ask again for one that is Booting; registers are read again each
/// time.
[[nodiscard]] Result<LiveAttachment>
attach_live(SensorProcess &sensor, const hypervisor::VmFound &vm, const SymbolFiles &symbols = {});
/// A memory dump.
[[nodiscard]] Result<GuestStateSeen> attach_dump(SensorProcess &sensor, const std::string &path,
                                                 const SymbolFiles &symbols = {});
/// `keep_bytes`: of its last packets, for evidence.
[[nodiscard]] Result<void> open_tap(SensorProcess &sensor, const hypervisor::VmFound &vm,
                                    const hypervisor::TapFound &tap, std::uint64_t keep_bytes = 0);
/// A sensor that holds packets from the start; `fds`: as HoldTaps says.
[[nodiscard]] Result<SensorProcess> start_holding(HoldTaps request, const std::vector<Fd> &fds);
/// The sensor reads all of the image against its checksum first, and keeps what it had if it is
/// damaged.
[[nodiscard]] Result<void> use_intel(SensorProcess &sensor, const Fd &image);
/// Both at once, between two packets, in place of whatever it had. `image` was verified before; the
/// delta is verified now. Either may be null: nothing then stands in its place.
[[nodiscard]] Result<void> use_verified_intel(SensorProcess &sensor, const Fd *image,
                                              const Fd *delta);
/// Beside the image in use, in place of an earlier delta.
[[nodiscard]] Result<void> use_delta(SensorProcess &sensor, const Fd &delta);
/// Lets a sandboxed process of its own, which ends with that, read all of the image: no sensor that
/// hears packets stands still for it.
[[nodiscard]] Result<void> verify_intel(const Fd &image);

/// Counts what an image that was verified before holds, likewise in a process of its own.
[[nodiscard]] Result<IntelStats> describe_intel(const Fd &image);

} // namespace outguard::launch
