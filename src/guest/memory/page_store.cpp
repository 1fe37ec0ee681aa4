#include "guest/memory/page_store.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace outguard::guest {
namespace {

/// Spreads keys that the guest chose over a table of a power of two.
std::size_t spread(std::uint64_t key, std::size_t size) {
  const auto bits = static_cast<unsigned>(std::bit_width(size - 1));
  return static_cast<std::size_t>(key * 0x9e37'79b9'7f4a'7c15 >> (64 - bits));
}

constexpr std::uint16_t bit(std::uint64_t page_of_block) {
  return static_cast<std::uint16_t>(1U << page_of_block);
}

} // namespace

PageStore::PageStore(MemoryReader &source)
    : source_(source), bytes_(kPages * kPageBytes), index_(kIndexSize), habits_(kHabits),
      opened_(kBlocks) {}

std::uint16_t &PageStore::index_of(std::uint64_t page) {
  return index_[spread(page, kIndexSize)];
}

PageStore::Habit &PageStore::habit_of(std::uint64_t first) {
  Habit &habit = habits_[spread(first, kHabits)];
  if (habit.first != first) {
    habit = {first, 0};
  }
  return habit;
}

std::uint64_t PageStore::first_missed(std::uint64_t page) {
  const std::uint64_t block = page / kBlockPages;
  Opened &opened = opened_[spread(block, kBlocks)];
  if (opened.generation != generation_ || opened.first / kBlockPages != block) {
    opened = {page, generation_};
  }
  return opened.first;
}

bool PageStore::keeps(std::uint64_t page) {
  const Slot &slot = slots_[index_of(page)];
  return slot.page == page && slot.generation == generation_;
}

const std::uint8_t *PageStore::find(std::uint64_t page) {
  if (!keeps(page)) {
    return nullptr;
  }
  const std::uint16_t index = index_of(page);
  Slot &slot = slots_[index];
  if (!slot.asked_for) {
    slot.asked_for = true;
    habit_of(slot.first).pages |= bit(page % kBlockPages);
  }
  return bytes_.data() + index * kPageBytes;
}

/// A page that nobody asked for is not fetched along the next time.
void PageStore::evict(Slot &slot) {
  if (slot.generation != 0 && !slot.asked_for) {
    habit_of(slot.first).pages &= static_cast<std::uint16_t>(~bit(slot.page % kBlockPages));
  }
  slot = {};
}

PageStore::Run PageStore::run_around(std::uint64_t page, std::uint64_t first_of_block) {
  const std::uint64_t inside = page % kBlockPages;
  const std::uint64_t block = page - inside;
  const std::uint16_t useful = habit_of(first_of_block).pages;
  const auto wants = [&](std::uint64_t at) {
    return (useful & bit(at)) != 0 && !keeps(block + at);
  };
  std::uint64_t first = inside;
  std::uint64_t last = inside;
  while (first > 0 && wants(first - 1)) {
    --first;
  }
  while (last + 1 < kBlockPages && wants(last + 1)) {
    ++last;
  }
  return {block + first, last - first + 1};
}

Result<void> PageStore::fetch(const Run &run, std::uint64_t first) {
  look_through({}); // its page may make room
  if (next_ + run.count > kPages) {
    next_ = 0;
  }
  const auto slots = std::span(slots_).subspan(next_, run.count);
  std::ranges::for_each(slots, [this](Slot &slot) { evict(slot); });
  const auto into = std::span(bytes_).subspan(next_ * kPageBytes, run.count * kPageBytes);
  const auto done = source_.read(GuestPhysical(run.first * kPageBytes), into);
  if (!done) {
    return done;
  }
  for (std::uint64_t page = 0; page < run.count; ++page) {
    slots[page] = {run.first + page, generation_, first, false};
    index_of(run.first + page) = static_cast<std::uint16_t>(next_ + page);
  }
  next_ += run.count;
  return {};
}

Result<std::size_t> PageStore::read_some(GuestPhysical address, std::span<std::uint8_t> out) {
  const auto direct = [&]() -> Result<std::size_t> {
    return source_.read(address, out).map([&] { return out.size(); });
  };
  if (out.size() >= kBulkBytes) {
    return direct();
  }
  const std::uint64_t page = address.raw() / kPageBytes;
  const std::uint64_t inside = address.raw() % kPageBytes;
  const std::uint8_t *kept = find(page);
  if (kept == nullptr) {
    // Memory that ends inside a page or a run is read as it was asked for.
    const std::uint64_t first = first_missed(page);
    if (!fetch(run_around(page, first), first) && !fetch({page, 1}, first)) {
      return direct();
    }
    kept = find(page);
  }
  look_through({GuestPhysical(page * kPageBytes), kPageBytes, kPageBytes, kept});
  const std::size_t count = std::min<std::uint64_t>(out.size(), kPageBytes - inside);
  std::memcpy(out.data(), kept + inside, count);
  return count;
}

void PageStore::renew() {
  ++generation_;
  look_through({});
}

void PageStore::renew(GuestPhysical address, std::size_t length) {
  look_through({});
  const std::uint64_t last = address.plus_wrapping(length - 1).raw() / kPageBytes;
  for (std::uint64_t page = address.raw() / kPageBytes; page <= last && length != 0; ++page) {
    if (Slot &slot = slots_[index_of(page)]; slot.page == page) {
      slot.generation = 0;
    }
  }
}

} // namespace outguard::guest
