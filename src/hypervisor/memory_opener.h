#pragma once
// Opens the memory of a VM for its sensor: asks QEMU where guest RAM lies in its own address space
// and opens what holds it. Reads no guest byte; the register dump is passed on as QEMU wrote it.

#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "facts/memory_layout.h"
#include "hypervisor/inferred_layout.h"
#include "hypervisor/qmp_client.h"
#include "hypervisor/vm_found.h"

namespace outguard::hypervisor {

struct MemoryHandles {
  MemoryLayout layout;   ///< all that can be read: RAM, and ROM and flash where they cost no more
  MemoryLayout writable; ///< the RAM in it, by QEMU's addresses only: what a write plan may touch
  std::vector<Fd> files; ///< read-only, in the order of file_index; to be mapped shared
  Fd process_memory;     ///< /proc/PID/mem, read-only; set if a region has no file
  std::string registers; ///< HMP `info registers -a`, unparsed
  /// QEMU could not be asked: no registers, nothing writable, and the layout is to be checked.
  bool inferred = false;

  /// In the order that AttachMemory wants them.
  [[nodiscard]] std::vector<int> descriptors() const;
};

/// Over QMP; where QEMU has no QMP socket or nobody listens on it, by infer_layout(). A socket that
/// another client holds is an error: it will be free again.
[[nodiscard]] Result<MemoryHandles> open_memory(const VmFound &vm);
/// Over a connection that is already there.
[[nodiscard]] Result<MemoryHandles> open_memory(const VmFound &vm, QmpClient &qmp);

/// What the CPUs do at this moment.
struct CpusSeen {
  RunState state;
  std::string registers; ///< as in MemoryHandles
};
[[nodiscard]] Result<CpusSeen> look_at_cpus(const VmFound &vm);

/// Lines that do not look like mappings are left out.
[[nodiscard]] std::vector<HostMapping> parse_mappings(std::string_view text);

} // namespace outguard::hypervisor
