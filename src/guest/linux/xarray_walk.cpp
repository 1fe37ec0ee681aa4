#include "guest/linux/xarray_walk.h"

#include <algorithm>

namespace outguard::guest {
namespace {

constexpr XArrayEntry kZeroEntry = 257 << 2 | kXArrayInternal;
/// Page indexes of the longest file (2^63 bytes) need no more.
constexpr std::uint64_t kMostShift = 48;

bool is_sibling(XArrayEntry entry) {
  return is_internal(entry) && entry >> 2 < kXArraySlots;
}
} // namespace

XArrayLayout XArrayLayout::bind(const TypeTable &types, std::string &missing) {
  XArrayLayout layout;
  StructBinder node(types, "xa_node", missing);
  layout.shift = node.number("shift");
  layout.offset = node.number("offset");
  layout.parent = node.pointer("parent");
  layout.array = node.pointer("array");
  layout.slots = node.bytes("slots", kXArraySlots * sizeof(XArrayEntry));
  layout.node = node.extent();
  return layout;
}

Result<void> XArrayWalk::read(GuestVirtual array, XArrayEntry head, std::uint64_t first,
                              std::span<XArrayEntry> out) {
  array_ = array;
  first_ = first;
  out_ = out;
  std::fill(out.begin(), out.end(), 0);
  if (is_node(head)) {
    return read_node(node_of(head), {});
  }
  if (is_internal(head)) {
    return fault(FaultCode::Malformed, array.raw());
  }
  if (first == 0 && !out.empty()) {
    out[0] = head;
  }
  return {};
}

Result<XArrayEntry> XArrayWalk::entry_at(const ObjectCopy &node, std::uint64_t slot) const {
  const auto slots = node.bytes(layout_.slots);
  XArrayEntry entry = entry_in(slots, slot);
  if (is_sibling(entry)) {
    if (entry >> 2 >= slot) {
      return fault(FaultCode::Malformed, node.address().raw());
    }
    entry = entry_in(slots, entry >> 2);
    if (is_internal(entry)) {
      return fault(FaultCode::Malformed, node.address().raw());
    }
  }
  if (is_internal(entry) && !is_node(entry) && entry != kZeroEntry) {
    return fault(FaultCode::Malformed, node.address().raw()); // "retry": the node is being freed
  }
  return entry == kZeroEntry ? 0 : entry;
}

/// Each level is one slot's width narrower than the one above, so this ends.
Result<void> XArrayWalk::read_node(GuestVirtual address, const Place &place) {
  ObjectCopy node(layout_.node);
  if (const auto loaded = node.load(reader_, address); !loaded) {
    return loaded;
  }
  const std::uint64_t shift = node.number(layout_.shift);
  const bool is_head = place.parent.is_null();
  if (shift > kMostShift || shift % kXArraySlotBits != 0 || (!is_head && shift != place.shift) ||
      node.pointer(layout_.array) != array_ || node.pointer(layout_.parent) != place.parent ||
      (!is_head && node.number(layout_.offset) != place.slot)) {
    return fault(FaultCode::Malformed, address.raw());
  }
  const std::uint64_t end = first_ + out_.size();
  const std::uint64_t from = first_ > place.base ? (first_ - place.base) >> shift : 0;
  for (std::uint64_t slot = from; slot < kXArraySlots && place.base + (slot << shift) < end;
       ++slot) {
    const auto entry = entry_at(node, slot);
    if (!entry) {
      return tl::unexpected(entry.error());
    }
    const std::uint64_t base = place.base + (slot << shift);
    if (is_node(*entry)) {
      if (shift == 0) {
        return fault(FaultCode::Malformed, address.raw());
      }
      const auto below = read_node(node_of(*entry), {address, slot, base, shift - kXArraySlotBits});
      if (!below) {
        return below;
      }
      continue;
    }
    const std::uint64_t low = std::max(base, first_);
    const std::uint64_t high = std::min(base + (std::uint64_t{1} << shift), end);
    std::fill(out_.begin() + static_cast<std::ptrdiff_t>(low - first_),
              out_.begin() + static_cast<std::ptrdiff_t>(high - first_), *entry);
  }
  return {};
}

} // namespace outguard::guest
