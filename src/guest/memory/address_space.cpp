#include "guest/memory/address_space.h"

#include <algorithm>

namespace outguard::guest {
namespace {

// Intel SDM volume 3, 4.5: an entry's bits.
constexpr std::uint64_t kPresent = 1U << 0;
constexpr std::uint64_t kWritable = 1U << 1;
constexpr std::uint64_t kLargePage = 1U << 7;
constexpr std::uint64_t kNoExecute = std::uint64_t{1} << 63;
/// Bits 51..12. A guest with memory encryption (SME/SEV) would have its C-bit (47 or 51) in here;
/// its memory could not be read from outside either, so it is not masked.
constexpr std::uint64_t kFrame = 0x000f'ffff'ffff'f000;

constexpr std::uint64_t kPageShift = 12;
constexpr std::uint64_t kPageBytes = 1U << kPageShift;
constexpr int kTableLevel = 1;   ///< entries map 4 KiB
constexpr int kLargestLevel = 3; ///< entries may map 1 GiB

constexpr std::uint64_t shift_of(int level) {
  return kPageShift + 9 * static_cast<std::uint64_t>(level - 1);
}

GuestPhysical entry_address(GuestPhysical table, GuestVirtual address, int level) {
  return table.plus_wrapping((address.raw() >> shift_of(level) & 0x1ff) * sizeof(std::uint64_t));
}

} // namespace

AddressSpace::AddressSpace(MemoryReader &memory, GuestPhysical root, PagingLevels levels,
                           Remember remember)
    : memory_(&memory), root_(GuestPhysical(root.raw() & kFrame)), levels_(levels),
      remembered_(static_cast<std::size_t>(remember)) {}

void AddressSpace::forget() {
  if ((++epoch_ & kRegionMask) == 0) { // from here on tags would repeat
    std::ranges::fill(remembered_, Upper{});
    ++epoch_;
  }
}

bool AddressSpace::is_canonical(GuestVirtual address) const {
  const int sign_bits = levels_ == PagingLevels::Five ? 56 : 47;
  const auto top = static_cast<std::int64_t>(address.raw()) >> sign_bits;
  return top == 0 || top == -1;
}

Result<AddressSpace::Upper> AddressSpace::walk_upper(GuestVirtual address,
                                                     std::uint64_t &absent) const {
  Upper upper{tag_of(address), root_, 0, true, true};
  for (int level = static_cast<int>(levels_); level > kTableLevel; --level) {
    const std::uint64_t block = std::uint64_t{1} << shift_of(level);
    absent = block;
    const auto read = memory_->read<std::uint64_t>(entry_address(upper.base, address, level));
    if (!read) {
      return tl::unexpected(read.error());
    }
    const std::uint64_t entry = read->any_value();
    if ((entry & kPresent) == 0) {
      return fault(FaultCode::Unmapped, address.raw());
    }
    upper.writable = upper.writable && (entry & kWritable) != 0;
    upper.executable = upper.executable && (entry & kNoExecute) == 0;
    upper.base = GuestPhysical(entry & kFrame);
    if ((entry & kLargePage) == 0) {
      continue;
    }
    if (level > kLargestLevel) {
      return fault(FaultCode::Malformed, address.raw()); // reserved bit
    }
    // Bit 12 is PAT here; the address bits below the page size are not part of the frame. The base
    // kept is that of the 2 MiB that hold the address, also inside a 1 GiB page.
    const std::uint64_t inside = address.raw() & (block - 1) & ~kRegionMask;
    upper.base = GuestPhysical((entry & kFrame & ~(block - 1)) | inside);
    upper.page_end = address.raw() | (block - 1);
    return upper;
  }
  return upper;
}

Result<Translation> AddressSpace::walk(GuestVirtual address, std::uint64_t &absent) const {
  absent = kPageBytes;
  if (!is_canonical(address)) {
    return fault(FaultCode::Unmapped, address.raw());
  }
  Upper &slot = slot_of(address);
  if (slot.tag != tag_of(address)) {
    const auto found = walk_upper(address, absent);
    if (!found) {
      return tl::unexpected(found.error());
    }
    slot = *found;
  }
  if (slot.page_end != 0) {
    const std::uint64_t inside = address.raw() & kRegionMask;
    return Translation{slot.base.plus_wrapping(inside), slot.page_end - address.raw() + 1,
                       slot.writable, slot.executable};
  }
  absent = kPageBytes;
  const auto read = memory_->read<std::uint64_t>(entry_address(slot.base, address, kTableLevel));
  if (!read) {
    return tl::unexpected(read.error());
  }
  const std::uint64_t entry = read->any_value();
  if ((entry & kPresent) == 0) {
    return fault(FaultCode::Unmapped, address.raw());
  }
  const std::uint64_t inside = address.raw() & (kPageBytes - 1);
  return Translation{GuestPhysical((entry & kFrame) | inside), kPageBytes - inside,
                     slot.writable && (entry & kWritable) != 0,
                     slot.executable && (entry & kNoExecute) == 0};
}

Result<Translation> AddressSpace::locate(GuestVirtual address) const {
  std::uint64_t absent = 0;
  return walk(address, absent);
}

Result<GuestPhysical> AddressSpace::translate(GuestVirtual address) const {
  return locate(address).map([](const Translation &found) { return found.physical; });
}

Result<MappedPage> AddressSpace::next_mapped(GuestVirtual from, GuestVirtual end,
                                             WalkBudget &budget) const {
  while (from < end) {
    if (!budget.step()) {
      return fault(FaultCode::LimitReached, from.raw());
    }
    std::uint64_t absent = kPageBytes;
    const auto found = walk(from, absent);
    if (found) {
      return MappedPage{from, *found};
    }
    if (found.error().code == FaultCode::SourceGone) {
      return tl::unexpected(found.error());
    }
    const auto next = GuestVirtual(from.raw() & ~(absent - 1)).plus(absent);
    if (!next) {
      break;
    }
    from = *next;
  }
  return fault(FaultCode::NotFound, from.raw());
}

Result<void> AddressSpace::read_by_pages(GuestVirtual address, std::span<std::uint8_t> out) const {
  Result<Translation> found = locate(address);
  while (!out.empty()) {
    if (!found) {
      return tl::unexpected(found.error());
    }
    // Pages that follow one another in RAM as well, as the kernel image's do, are one read.
    const GuestPhysical start = found->physical;
    std::size_t count = 0;
    do {
      count += std::min<std::uint64_t>(found->bytes_left, out.size() - count);
      if (count == out.size()) {
        break;
      }
      found = locate(address.plus_wrapping(count)); // past the top: not canonical or unmapped
    } while (found && found->physical == start.plus_wrapping(count));
    if (const auto done = memory_->read(start, out.first(count)); !done) {
      return done;
    }
    out = out.subspan(count);
    address = address.plus_wrapping(count);
  }
  return {};
}

} // namespace outguard::guest
