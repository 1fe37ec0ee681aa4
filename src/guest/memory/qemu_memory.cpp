#include "guest/memory/qemu_memory.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace outguard::guest {
namespace {

/// User addresses of x86-64 processes, and file offsets, lie below 2^63.
constexpr std::uint64_t kMaxOffset = std::numeric_limits<off_t>::max();
/// Reads of this size are scans. Through the descriptor they do not make pages of a sparse file,
/// which a touched mapping would: looking at a guest must not grow it.
constexpr std::size_t kBulkBytes = std::size_t{64} << 10;

bool wraps(std::uint64_t start, std::uint64_t length, std::uint64_t most) {
  return start > most || length > most - start;
}

Opened<void> check(const MemoryLayout &layout, bool has_process, std::size_t files) {
  if (layout.regions.empty() || layout.regions.size() > kMaxMemoryRegions) {
    return problem("no memory region, or too many", layout.regions.size());
  }
  std::uint64_t end = 0;
  for (const MemoryRegion &region : layout.regions) {
    const std::uint64_t start = region.guest_start;
    if (region.length == 0 || wraps(start, region.length, UINT64_MAX) || start < end) {
      return problem("memory region empty, wrapping, unsorted or overlapping", start);
    }
    end = start + region.length;
    if (region.file_index < 0) {
      if (!has_process || wraps(region.host_address, region.length, kMaxOffset)) {
        return problem("memory region of a process, without it or beyond its addresses", start);
      }
    } else if (static_cast<std::size_t>(region.file_index) >= files ||
               wraps(region.file_offset, region.length, kMaxOffset)) {
      return problem("memory region of a file that is not there or beyond its end", start);
    }
  }
  return {};
}

} // namespace

Opened<std::unique_ptr<QemuMemory>> QemuMemory::open(const MemoryLayout &layout, Fd process_memory,
                                                     std::vector<Fd> files) {
  if (const auto fine = check(layout, static_cast<bool>(process_memory), files.size()); !fine) {
    return tl::unexpected(fine.error());
  }
  std::unique_ptr<QemuMemory> memory(new QemuMemory(std::move(process_memory), std::move(files)));
  for (const MemoryRegion &region : layout.regions) {
    if (const auto done = memory->add(region); !done) {
      return tl::unexpected(done.error());
    }
  }
  return memory;
}

QemuMemory::~QemuMemory() {
  for (const Region &region : regions_) {
    if (region.mapped != nullptr) {
      const auto skew = region.where.file_offset % static_cast<std::uint64_t>(getpagesize());
      munmap(const_cast<std::uint8_t *>(region.mapped - skew), region.where.length + skew);
    }
  }
}

Opened<void> QemuMemory::add(const MemoryRegion &region) {
  Region added{region, nullptr};
  if (region.file_index >= 0) {
    const int file = files_[static_cast<std::size_t>(region.file_index)].get();
    struct stat status {};
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) ||
        region.file_offset + region.length > static_cast<std::uint64_t>(status.st_size)) {
      return problem("memory file shorter than its region", region.guest_start);
    }
    const auto skew = region.file_offset % static_cast<std::uint64_t>(getpagesize());
    void *mapped = mmap(nullptr, region.length + skew, PROT_READ, MAP_SHARED, file,
                        static_cast<off_t>(region.file_offset - skew));
    if (mapped == MAP_FAILED) {
      return problem("memory file cannot be mapped", region.guest_start);
    }
    added.mapped = static_cast<const std::uint8_t *>(mapped) + skew;
  }
  (added.mapped != nullptr ? mapped_ : through_process_) += region.length;
  regions_.push_back(added);
  if (!ranges_.empty() &&
      ranges_.back().start.raw() + ranges_.back().length == region.guest_start) {
    ranges_.back().length += region.length;
  } else {
    ranges_.push_back({GuestPhysical(region.guest_start), region.length});
  }
  return {};
}

Result<std::size_t> QemuMemory::read_some(GuestPhysical address, std::span<std::uint8_t> out) {
  const auto holds = [address](const Region &region) {
    return address.raw() - region.where.guest_start < region.where.length;
  };
  if (!holds(regions_[last_region_])) {
    const auto found = std::find_if(regions_.begin(), regions_.end(), holds);
    if (found == regions_.end()) {
      return fault(FaultCode::Unmapped, address.raw());
    }
    last_region_ = static_cast<std::size_t>(found - regions_.begin());
  }
  const Region &region = regions_[last_region_];
  const std::uint64_t inside = address.raw() - region.where.guest_start;
  const std::size_t want = std::min<std::uint64_t>(out.size(), region.where.length - inside);
  if (region.mapped != nullptr && want < kBulkBytes) {
    look_through({GuestPhysical(region.where.guest_start), region.where.length, kBulkBytes - 1,
                  region.mapped});
    std::memcpy(out.data(), region.mapped + inside, want);
    return want;
  }
  const bool in_file = region.mapped != nullptr;
  const int file = in_file ? files_[static_cast<std::size_t>(region.where.file_index)].get()
                           : process_memory_.get();
  const std::uint64_t base = in_file ? region.where.file_offset : region.where.host_address;
  ssize_t count = 0;
  do {
    count = pread(file, out.data(), want, static_cast<off_t>(base + inside));
  } while (count < 0 && errno == EINTR);
  if (count > 0) {
    return static_cast<std::size_t>(count);
  }
  // EIO: QEMU has nothing at that address (any more). 0: the process is gone, and its memory with
  // it.
  return fault(count < 0 && errno == EIO ? FaultCode::Unmapped : FaultCode::SourceGone,
               address.raw());
}

} // namespace outguard::guest
