#pragma once
// A page-table root plus a reader: the only bridge from GuestVirtual to GuestPhysical.
// x86-64, 4 or 5 levels, 4 KiB, 2 MiB and 1 GiB pages. Page tables are the guest's: every entry is
// hostile, a walk takes at most five reads. Does not own the reader. One thread at a time.

#include <cstdint>
#include <span>
#include <string>

#include "guest/bytes/address.h"
#include "guest/bytes/fault.h"
#include "guest/memory/memory_reader.h"

namespace outguard::guest {

enum class PagingLevels : std::uint8_t { Four = 4, Five = 5 };

/// Where a virtual address lies, and how far the same page goes on behind it.
struct Translation {
  GuestPhysical physical;
  std::uint64_t bytes_left = 0; ///< to the end of the page (4 KiB, 2 MiB or 1 GiB) that holds it
};

class AddressSpace {
public:
  AddressSpace(MemoryReader &memory, GuestPhysical root, PagingLevels levels);

  [[nodiscard]] Result<GuestPhysical> translate(GuestVirtual address) const;
  [[nodiscard]] Result<Translation> locate(GuestVirtual address) const;

  /// Fills all of `out` or fails; crosses pages.
  [[nodiscard]] Result<void> read(GuestVirtual address, std::span<std::uint8_t> out) const;

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

  [[nodiscard]] MemoryReader &memory() const { return *memory_; }
  [[nodiscard]] GuestPhysical root() const { return root_; }
  [[nodiscard]] PagingLevels levels() const { return levels_; }

private:
  MemoryReader *memory_;
  GuestPhysical root_;
  PagingLevels levels_;
};

} // namespace outguard::guest
