#include "guest/memory/cached_memory.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace outguard::guest {

CachedMemory::CachedMemory(MemoryReader &source, std::size_t pages)
    : source_(&source), sets_(std::bit_ceil(std::max(pages, kWays)) / kWays),
      bytes_(std::make_unique_for_overwrite<std::uint8_t[]>(sets_.size() * kWays * kPageBytes)) {}

Result<const std::uint8_t *> CachedMemory::page(std::uint64_t number) {
  // The guest chooses which pages are walked; if it makes them fall into one set, reads get slower
  // by the system calls that the cache would have saved, and no more.
  const std::size_t set_number = (number * 0x9e37'79b9'7f4a'7c15 >> 32) & (sets_.size() - 1);
  Set &set = sets_[set_number];
  std::uint8_t *const bytes = &bytes_[set_number * kWays * kPageBytes];
  for (std::size_t way = 0; way < kWays; ++way) {
    if (set.slots[way].page == number && set.slots[way].generation == generation_) {
      return bytes + way * kPageBytes;
    }
  }
  const std::size_t way = set.next;
  std::uint8_t *const target = bytes + way * kPageBytes;
  set.slots[way].generation = 0; // until the read has succeeded
  if (const auto done = source_->read(GuestPhysical(number * kPageBytes), {target, kPageBytes});
      !done) {
    return tl::unexpected(done.error());
  }
  set.next = (way + 1) % kWays;
  set.slots[way] = {number, generation_};
  return target;
}

Result<std::size_t> CachedMemory::read_some(GuestPhysical address, std::span<std::uint8_t> out) {
  const std::uint64_t inside = address.raw() % kPageBytes;
  const std::size_t count = std::min<std::size_t>(out.size(), kPageBytes - inside);
  if (out.size() < kBulkBytes) {
    if (const auto found = page(address.raw() / kPageBytes)) {
      std::memcpy(out.data(), *found + inside, count);
      return count;
    }
    // RAM may end inside this page: what was asked for may be there all the same.
  }
  const auto want = out.size() < kBulkBytes ? out.first(count) : out;
  if (const auto done = source_->read(address, want); !done) {
    return tl::unexpected(done.error());
  }
  return want.size();
}

} // namespace outguard::guest
