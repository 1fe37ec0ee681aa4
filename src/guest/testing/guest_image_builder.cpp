#include "guest/testing/guest_image_builder.h"

#include <algorithm>
#include <vector>

namespace outguard::guest {
namespace {

constexpr std::uint64_t kPageBytes = FakeMemory::kPageBytes;
constexpr std::uint64_t kPresent = 1, kWritable = 2, kLargePage = 0x80;
constexpr std::uint64_t kNoExecute = std::uint64_t{1} << 63;
constexpr std::uint64_t kFrame = 0x000f'ffff'ffff'f000;

std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

/// The level whose entries map pages of this size.
int level_of(PageSize size) {
  return size == PageSize::Huge ? 3 : size == PageSize::Large ? 2 : 1;
}

std::uint64_t read_entry(FakeMemory &memory, GuestPhysical address) {
  const auto read = memory.read<std::uint64_t>(address);
  return read ? read->any_value() : 0;
}

} // namespace

GuestImageBuilder::GuestImageBuilder(PagingLevels levels, GuestPhysical lowest)
    : levels_(levels), next_physical_(lowest),
      next_virtual_(levels == PagingLevels::Five ? 0xff11'0000'0000'0000 : 0xffff'8880'0000'0000),
      root_(new_root()) {}

GuestPhysical GuestImageBuilder::allocate_physical(std::uint64_t length, std::uint64_t alignment) {
  const GuestPhysical start(align_up(next_physical_.raw(), alignment));
  next_physical_ = start.plus_wrapping(length);
  memory_->map(start, length);
  return start;
}

GuestVirtual GuestImageBuilder::allocate(std::uint64_t length, std::uint64_t alignment) {
  constexpr std::uint64_t kGap = 256;
  const GuestVirtual start(align_up(next_virtual_.raw(), alignment));
  next_virtual_ = start.plus_wrapping(length + kGap);
  map(start, length + kGap);
  objects_.push_back({start, length});
  return start;
}

GuestPhysical GuestImageBuilder::entry_for(GuestPhysical root, GuestVirtual address,
                                           PageSize size) {
  GuestPhysical table = root;
  for (int level = static_cast<int>(levels_);; --level) {
    const auto shift = 12 + 9 * static_cast<std::uint64_t>(level - 1);
    const auto at = table.plus_wrapping((address.raw() >> shift & 0x1ff) * sizeof(std::uint64_t));
    if (level == level_of(size)) {
      return at;
    }
    std::uint64_t entry = read_entry(*memory_, at);
    if ((entry & kPresent) == 0) {
      entry = allocate_physical(kPageBytes, kPageBytes).raw() | kPresent | kWritable;
      memory_->put(at, entry);
    }
    table = GuestPhysical(entry & kFrame);
  }
}

void GuestImageBuilder::map_page(GuestPhysical root, GuestVirtual address, GuestPhysical frame,
                                 PageSize size, PageRights rights) {
  const std::uint64_t entry = frame.raw() | kPresent | (rights.writable ? kWritable : 0) |
                              (rights.executable ? 0 : kNoExecute) |
                              (size == PageSize::Small ? 0 : kLargePage);
  memory_->put(entry_for(root, address, size), entry);
}

void GuestImageBuilder::map_in(GuestPhysical root, GuestVirtual address, std::uint64_t length,
                               PageRights rights) {
  if (length == 0) {
    return;
  }
  const std::uint64_t last = (address.raw() + (length - 1)) / kPageBytes;
  for (std::uint64_t page = address.raw() / kPageBytes; page <= last; ++page) {
    const GuestVirtual start(page * kPageBytes);
    if (!space_of(root).locate(start)) {
      map_page(root, start, allocate_physical(kPageBytes, kPageBytes), PageSize::Small, rights);
    }
  }
}

void GuestImageBuilder::map(GuestVirtual address, std::uint64_t length, PageRights rights) {
  map_in(root_, address, length, rights);
}

void GuestImageBuilder::unmap(GuestVirtual address) {
  memory_->put(entry_for(root_, address, PageSize::Small), std::uint64_t{0});
}

void GuestImageBuilder::write_in(GuestPhysical root, GuestVirtual address,
                                 std::span<const std::uint8_t> bytes) {
  map_in(root, address, bytes.size());
  const AddressSpace space = space_of(root);
  while (!bytes.empty()) {
    const auto found = space.locate(address);
    const auto count = std::min<std::size_t>(bytes.size(), kPageBytes - address.raw() % kPageBytes);
    memory_->write(found.value().physical, bytes.first(count));
    bytes = bytes.subspan(count);
    address = address.plus_wrapping(count);
  }
}

void GuestImageBuilder::write(GuestVirtual address, std::span<const std::uint8_t> bytes) {
  write_in(root_, address, bytes);
}

void GuestImageBuilder::put_text(GuestVirtual address, std::string_view text) {
  std::vector<std::uint8_t> bytes(text.begin(), text.end());
  bytes.push_back(0);
  write(address, bytes);
}

} // namespace outguard::guest
