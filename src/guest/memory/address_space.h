#pragma once
// A page-table root plus a reader: the only bridge from GuestVirtual to GuestPhysical.
// x86-64, 4 or 5 levels, 4 KiB, 2 MiB and 1 GiB pages. Page tables are the guest's: every entry is
// hostile, a walk takes at most five reads. Remembers the upper levels of its walks until forget():
// the guest runs and may change them, so forget before each scan. Does not own the reader. One
// thread at a time.

#include <cstdint>
#include <span>
#include <vector>

#include "guest/bytes/address.h"
#include "guest/bytes/fault.h"
#include "guest/bytes/walk_budget.h"
#include "guest/memory/memory_reader.h"

namespace outguard::guest {

enum class PagingLevels : std::uint8_t { Four = 4, Five = 5 };

/// Where a virtual address lies, and how far the same page goes on behind it.
struct Translation {
  GuestPhysical physical;
  std::uint64_t bytes_left = 0; ///< to the end of the page (4 KiB, 2 MiB or 1 GiB) that holds it
  bool writable = false;
  bool executable = false;
};

struct MappedPage {
  GuestVirtual start;
  Translation at;
};

class AddressSpace {
public:
  /// How many 2 MiB regions are remembered; a power of two.
  enum class Remember : std::uint16_t {
    Few = 2,    ///< for a look or two into a process
    Many = 512, ///< 1 GiB of the kernel's direct map, in 16 KiB
  };
  AddressSpace(MemoryReader &memory, GuestPhysical root, PagingLevels levels,
               Remember remember = Remember::Many);

  [[nodiscard]] Result<GuestPhysical> translate(GuestVirtual address) const;
  [[nodiscard]] Result<Translation> locate(GuestVirtual address) const;
  /// The first mapped address in [from, end), skipping what is not mapped at the level where it is
  /// missing; one budget step an entry looked at. NotFound when there is none.
  [[nodiscard]] Result<MappedPage> next_mapped(GuestVirtual from, GuestVirtual end,
                                               WalkBudget &budget) const;

  /// Fills all of `out` or fails; crosses pages.
  [[nodiscard]] Result<void> read(GuestVirtual address, std::span<std::uint8_t> out) const {
    const Upper &slot = slot_of(address);
    if (slot.tag == tag_of(address) && slot.page_end != 0 &&
        slot.page_end - address.raw() >= out.size()) { // in a large page, as nearly all is
      return memory_->read(slot.base.plus_wrapping(address.raw() & kRegionMask), out);
    }
    return read_by_pages(address, out);
  }

  template <class T> [[nodiscard]] Result<Untrusted<T>> read(GuestVirtual address) const {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    const auto done = read(address, {reinterpret_cast<std::uint8_t *>(&value), sizeof value});
    if (!done) {
      return tl::unexpected(done.error());
    }
    return Untrusted<T>(value);
  }
  /// A pointer field. Any value is an address; the next read checks it.
  [[nodiscard]] Result<GuestVirtual> read_pointer(GuestVirtual address) const {
    return read<std::uint64_t>(address).map(
        [](auto value) { return GuestVirtual(value.any_value()); });
  }

  /// Drops what was remembered of the page tables.
  void forget();

  [[nodiscard]] MemoryReader &memory() const { return *memory_; }
  [[nodiscard]] GuestPhysical root() const { return root_; }
  [[nodiscard]] PagingLevels levels() const { return levels_; }

private:
  /// A walk stopped above the last level: the 2 MiB around an address are one page, part of a 1 GiB
  /// page, or a table of 4 KiB pages. The kernel's direct map then costs no read at all.
  struct Upper {
    std::uint64_t tag = 0;      ///< see tag_of()
    GuestPhysical base;         ///< of the 2 MiB, or of the table
    std::uint64_t page_end = 0; ///< virtual, the last byte of the page; 0: base is a table
    bool writable = false;
    bool executable = false;
  };
  static constexpr unsigned kRegionShift = 21;
  static constexpr std::uint64_t kRegionMask = (std::uint64_t{1} << kRegionShift) - 1;

  [[nodiscard]] Upper &slot_of(GuestVirtual address) const {
    return remembered_[address.raw() >> kRegionShift & (remembered_.size() - 1)];
  }
  /// Of the region in this epoch: never that of an empty slot or of one from before a forget().
  [[nodiscard]] std::uint64_t tag_of(GuestVirtual address) const {
    return (address.raw() & ~kRegionMask) | (epoch_ & kRegionMask);
  }
  [[nodiscard]] Result<void> read_by_pages(GuestVirtual address, std::span<std::uint8_t> out) const;

  /// `absent` tells, when nothing is mapped, the size of the aligned block that is missing as a
  /// whole.
  [[nodiscard]] Result<Translation> walk(GuestVirtual address, std::uint64_t &absent) const;
  [[nodiscard]] Result<Upper> walk_upper(GuestVirtual address, std::uint64_t &absent) const;
  [[nodiscard]] bool is_canonical(GuestVirtual address) const;

  MemoryReader *memory_;
  GuestPhysical root_;
  PagingLevels levels_;
  std::uint64_t epoch_ = 1;
  mutable std::vector<Upper> remembered_;
};

} // namespace outguard::guest
