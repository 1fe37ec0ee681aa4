#pragma once
// A dump whose memory stands in the file as it is, in segments: raw images, ELF cores, LiME.

#include "guest/memory/dump_file_memory.h"

namespace outguard::guest {

struct DumpSegment {
  std::uint64_t guest_start = 0; ///< guest-physical
  std::uint64_t length = 0;      ///< bytes; guest_start + length does not wrap
  std::uint64_t file_offset = 0;
};

class SegmentedDump final : public DumpFileMemory {
public:
  /// Sorts the segments. Where they overlap the lower one counts: QEMU's -p lists a physical page
  /// once for every process that maps it, always at the same place in the file.
  SegmentedDump(std::unique_ptr<FileBytes> file, std::vector<DumpSegment> segments,
                std::vector<CpuRegisters> registers = {});

private:
  [[nodiscard]] Result<std::size_t> read_some(GuestPhysical address,
                                              std::span<std::uint8_t> out) override;

  std::vector<DumpSegment> segments_; ///< sorted by guest_start, without overlap
};

} // namespace outguard::guest
