#pragma once
// Opens the memory of a VM for its sensor: asks QEMU where guest RAM lies in its own address space
// and opens what holds it. Reads no guest byte; the register dump is passed on as QEMU wrote it.

#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "facts/memory_layout.h"
#include "hypervisor/qmp_client.h"
#include "hypervisor/vm_found.h"

namespace outguard::hypervisor {

struct MemoryHandles {
  MemoryLayout layout;   ///< all that can be read: RAM, and ROM and flash where they cost no more
  MemoryLayout writable; ///< the RAM in it, by QEMU's addresses only: what a write plan may touch
  std::vector<Fd> files; ///< read-only, in the order of file_index; to be mapped shared
  Fd process_memory;     ///< /proc/PID/mem, read-only; set if a region has no file
  std::string registers; ///< HMP `info registers -a`, unparsed

  /// In the order that AttachMemory wants them.
  [[nodiscard]] std::vector<int> descriptors() const;
};

[[nodiscard]] Result<MemoryHandles> open_memory(const VmFound &vm);
/// Over a connection that is already there.
[[nodiscard]] Result<MemoryHandles> open_memory(const VmFound &vm, QmpClient &qmp);

/// What the CPUs do at this moment.
struct CpusSeen {
  RunState state;
  std::string registers; ///< as in MemoryHandles
};
[[nodiscard]] Result<CpusSeen> look_at_cpus(const VmFound &vm);

/// One line of /proc/PID/maps.
struct HostMapping {
  std::uint64_t start = 0, end = 0; ///< addresses in the process
  std::uint64_t file_offset = 0;
  std::uint64_t inode = 0; ///< 0: no file
  std::string device;      ///< "00:01"
  bool shared = false;
};
/// Lines that do not look like mappings are left out.
[[nodiscard]] std::vector<HostMapping> parse_mappings(std::string_view text);

} // namespace outguard::hypervisor
