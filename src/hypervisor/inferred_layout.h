#pragma once
// Where guest RAM must be when QEMU cannot be asked: what its PC machine types do with their RAM,
// and the one mapping of the process that has its size. A guess that the sensor checks: a kernel
// whose own structures do not fit is refused. Pure.

#include <cstdint>
#include <span>

#include "base/result.h"
#include "facts/memory_layout.h"
#include "hypervisor/qemu_command_line.h"

namespace outguard::hypervisor {

/// One line of /proc/PID/maps.
struct HostMapping {
  std::uint64_t start = 0, end = 0; ///< addresses in the process
  std::uint64_t file_offset = 0;
  std::uint64_t inode = 0; ///< 0: no file
  std::string device;      ///< "00:01"
  bool shared = false;
  bool plain_data = false; ///< readable and writable, not executable: as RAM is mapped

  bool operator==(const HostMapping &) const = default;
};

/// Unsupported: a machine whose layout is not known here.
[[nodiscard]] Result<void> can_infer_layout(const QemuCommandLine &line);
/// Addresses in QEMU's process. RAM beyond -m (DIMMs that were plugged in) is not in it.
/// InvalidInput: no mapping, or several, may be the RAM.
[[nodiscard]] Result<MemoryLayout> infer_layout(const QemuCommandLine &line,
                                                std::span<const HostMapping> mappings);

} // namespace outguard::hypervisor
