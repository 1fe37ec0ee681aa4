#pragma once
// Where a VM's RAM can be read from the host. Built by the privileged side out of QEMU's own answers.

#include <cstdint>
#include <vector>

namespace outguard {

inline constexpr std::size_t kMaxMemoryRegions = 1024;

/// One run of guest-physical addresses. Regions are sorted by guest_start and do not overlap.
struct MemoryRegion {
  std::uint64_t guest_start = 0;  ///< guest-physical
  std::uint64_t length = 0;       ///< bytes
  std::uint64_t host_address = 0; ///< virtual address inside QEMU
  std::uint64_t file_offset = 0;  ///< in the file, when file_index >= 0
  std::int32_t file_index = -1;   ///< which of the files passed along; -1: through /proc/PID/mem

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.guest_start, self.length, self.host_address, self.file_offset, self.file_index);
  }
};

struct MemoryLayout {
  std::vector<MemoryRegion> regions;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.regions);
  }
};

} // namespace outguard
