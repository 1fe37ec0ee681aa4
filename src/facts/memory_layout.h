#pragma once
// Where QEMU keeps a guest's RAM: what the supervisor learned over QMP and hands to the sensor with
// the descriptors. Sorted by guest_start, without overlap; the reader refuses anything else.

#include <cstdint>
#include <vector>

namespace outguard {

/// One run of guest-physical addresses.
struct MemoryRegion {
  std::uint64_t guest_start = 0;  ///< guest-physical
  std::uint64_t length = 0;       ///< bytes
  std::uint64_t host_address = 0; ///< virtual, inside QEMU; used when read through the process
  std::uint64_t file_offset = 0;  ///< into the file named by file_index
  std::int32_t file_index = -1;   ///< which of the descriptors sent along; -1: through the process

  friend bool operator==(const MemoryRegion &, const MemoryRegion &) = default;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.guest_start, self.length, self.host_address, self.file_offset, self.file_index);
  }
};

inline constexpr std::size_t kMaxMemoryRegions = 1024; ///< QEMU makes about 10; hot-plug adds 256

struct MemoryLayout {
  std::vector<MemoryRegion> regions;

  friend bool operator==(const MemoryLayout &, const MemoryLayout &) = default;
  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.regions);
  }
};

} // namespace outguard
