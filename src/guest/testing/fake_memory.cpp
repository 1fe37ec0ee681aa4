#include "guest/testing/fake_memory.h"

#include <algorithm>

namespace outguard::guest {

void FakeMemory::map(GuestPhysical start, std::uint64_t length) {
  if (length == 0) {
    return;
  }
  const std::uint64_t last = (start.raw() + length - 1) / kPageBytes;
  for (std::uint64_t page = start.raw() / kPageBytes; page <= last; ++page) {
    if (find(page) == nullptr) {
      Page &made = pages_[page];
      if (page < kNearPages) {
        near_.resize(std::max<std::size_t>(near_.size(), page + 1));
        near_[page] = &made;
      }
      ranges_.clear();
    }
  }
}

FakeMemory::Page *FakeMemory::find(std::uint64_t page) {
  if (page < kNearPages) {
    return page < near_.size() ? near_[page] : nullptr;
  }
  const auto found = pages_.find(page);
  return found == pages_.end() ? nullptr : &found->second;
}

void FakeMemory::unmap(GuestPhysical address) {
  const std::uint64_t page = address.raw() / kPageBytes;
  pages_.erase(page);
  if (page < near_.size()) {
    near_[page] = nullptr;
  }
  ranges_.clear();
}

void FakeMemory::write(GuestPhysical address, std::span<const std::uint8_t> bytes) {
  map(address, bytes.size());
  std::uint64_t at = address.raw();
  while (!bytes.empty()) {
    const std::uint64_t inside = at % kPageBytes;
    const auto count = std::min<std::size_t>(bytes.size(), kPageBytes - inside);
    std::copy_n(bytes.begin(), count, find(at / kPageBytes)->data() + inside);
    bytes = bytes.subspan(count);
    at += count;
  }
}

Result<std::size_t> FakeMemory::read_some(GuestPhysical address, std::span<std::uint8_t> out) {
  if (before_read_) {
    const auto change = before_read_; // which may set another
    change(calls_.size());
  }
  calls_.push_back({address, out.size()});
  if (reads_left_ && (*reads_left_)-- == 0) {
    reads_left_ = 0;
    return fault(FaultCode::SourceGone, address.raw());
  }
  const Page *const page = find(address.raw() / kPageBytes);
  if (page == nullptr) {
    return fault(FaultCode::Unmapped, address.raw());
  }
  const std::uint64_t inside = address.raw() % kPageBytes;
  const auto count = std::min<std::size_t>(
      {out.size(), static_cast<std::size_t>(kPageBytes - inside), most_per_read_});
  std::copy_n(page->data() + inside, count, out.data());
  return count;
}

std::span<const PhysicalRange> FakeMemory::ranges() const {
  if (!ranges_.empty()) {
    return ranges_;
  }
  for (const auto &[page, bytes] : pages_) {
    const std::uint64_t start = page * kPageBytes;
    if (!ranges_.empty() && ranges_.back().start.raw() + ranges_.back().length == start) {
      ranges_.back().length += kPageBytes;
    } else {
      ranges_.push_back({GuestPhysical(start), kPageBytes});
    }
  }
  return ranges_;
}

} // namespace outguard::guest
