#pragma once
// What a slot of a kernel xarray, IDR or maple tree holds (include/linux/xarray.h, the same since
// 4.20): a pointer, 0 for nothing, a value (bit 0 set), or something internal (the low two bits
// 10): a node's address when above a page's size, else a sibling's slot or a mark of the moment.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "guest/bytes/address.h"

namespace outguard::guest {

using XArrayEntry = std::uint64_t;

inline constexpr std::uint64_t kXArraySlotBits = 6, kXArraySlots = 1U << kXArraySlotBits;
inline constexpr XArrayEntry kXArrayKind = 3, kXArrayInternal = 2;

[[nodiscard]] inline bool is_internal(XArrayEntry entry) {
  return (entry & kXArrayKind) == kXArrayInternal;
}
[[nodiscard]] inline bool is_node(XArrayEntry entry) {
  constexpr XArrayEntry kLastMark = 4096;
  return is_internal(entry) && entry > kLastMark;
}
[[nodiscard]] inline GuestVirtual node_of(XArrayEntry entry) {
  return GuestVirtual(entry & ~kXArrayKind);
}

/// Of a node's slots, or of whatever else is words.
[[nodiscard]] inline XArrayEntry entry_in(std::span<const std::uint8_t> slots, std::size_t index) {
  XArrayEntry entry = 0;
  std::memcpy(&entry, slots.subspan(index * sizeof entry, sizeof entry).data(), sizeof entry);
  return entry;
}

} // namespace outguard::guest
