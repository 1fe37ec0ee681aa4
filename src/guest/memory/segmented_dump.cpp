#include "guest/memory/segmented_dump.h"

#include <algorithm>

namespace outguard::guest {

SegmentedDump::SegmentedDump(std::unique_ptr<FileBytes> file, std::vector<DumpSegment> segments,
                             std::vector<CpuRegisters> registers)
    : DumpFileMemory(std::move(file), std::move(registers)) {
  std::sort(segments.begin(), segments.end(), [](const DumpSegment &a, const DumpSegment &b) {
    return a.guest_start < b.guest_start;
  });
  std::uint64_t end = 0;
  for (DumpSegment segment : segments) {
    if (!segments_.empty() && segment.guest_start < end) {
      const std::uint64_t seen = end - segment.guest_start;
      if (seen >= segment.length) {
        continue;
      }
      segment = {end, segment.length - seen, segment.file_offset + seen};
    }
    end = segment.guest_start + segment.length;
    segments_.push_back(segment);
    add_range(segment.guest_start, segment.length);
  }
}

Result<std::size_t> SegmentedDump::read_some(GuestPhysical address, std::span<std::uint8_t> out) {
  const auto behind = std::upper_bound(
      segments_.begin(), segments_.end(), address.raw(),
      [](auto value, const DumpSegment &segment) { return value < segment.guest_start; });
  if (behind == segments_.begin()) {
    return fault(FaultCode::Unmapped, address.raw());
  }
  const DumpSegment &segment = *std::prev(behind);
  const std::uint64_t inside = address.raw() - segment.guest_start;
  if (inside >= segment.length) {
    return fault(FaultCode::Unmapped, address.raw());
  }
  const std::size_t want = std::min<std::uint64_t>(out.size(), segment.length - inside);
  if (!file().read(segment.file_offset + inside, out.first(want))) {
    return fault(FaultCode::SourceGone, address.raw());
  }
  return want;
}

} // namespace outguard::guest
