#include "guest/linux/maple_tree_walk.h"

#include "guest/linux/xarray_entry.h"

namespace outguard::guest {
namespace {

// include/linux/maple_tree.h, the same since 6.1. A node's address has its type in bits 3 to 6.
constexpr std::uint64_t kTypeShift = 3, kTypeMask = 0xf;
constexpr std::uint64_t kRootParent = 1; ///< in the root's parent, with the tree's address
constexpr std::uint32_t kNodeBytes = 256;
constexpr std::uint64_t kNodeMask = ~std::uint64_t{kNodeBytes - 1};
constexpr int kMostDepth = 16; ///< a node below the root has at least 4 entries: enough for 2^32

bool fits(const MapleTreeLayout::Shape &shape) {
  const std::uint32_t slots = shape.slots.size / 8;
  return slots > 1 && shape.slots.size % 8 == 0 && shape.pivots.size == (slots - 1) * 8 &&
         shape.slots.offset + shape.slots.size <= kNodeBytes &&
         shape.pivots.offset + shape.pivots.size <= kNodeBytes;
}

} // namespace

MapleTreeLayout MapleTreeLayout::bind(const TypeTable &types, std::string &missing) {
  MapleTreeLayout layout;
  layout.node = {0, kNodeBytes};
  StructBinder range(types, "maple_range_64", missing);
  layout.range = {range.place("pivot"), range.place("slot")};
  StructBinder arange(types, "maple_arange_64", missing);
  layout.arange = {arange.place("pivot"), arange.place("slot")};
  layout.parent = StructBinder(types, "maple_node", missing).pointer("parent");
  const auto leaf_type = types.enumerator("maple_leaf_64");
  const auto range_type = types.enumerator("maple_range_64");
  const auto arange_type = types.enumerator("maple_arange_64");
  const bool whole = leaf_type && range_type && arange_type && fits(layout.range) &&
                     fits(layout.arange) && types.size_of("maple_node") == kNodeBytes &&
                     layout.parent.offset + layout.parent.size <= kNodeBytes;
  if (!whole) {
    if (missing.empty()) {
      missing = "maple_node";
    }
    return layout;
  }
  layout.leaf_type = static_cast<std::uint64_t>(*leaf_type);
  layout.range_type = static_cast<std::uint64_t>(*range_type);
  layout.arange_type = static_cast<std::uint64_t>(*arange_type);
  return layout;
}

Result<void> MapleTreeWalk::read(GuestVirtual tree, std::uint64_t root, std::size_t most) {
  entries_.clear();
  most_ = most;
  if (root == 0) {
    return {};
  }
  if (!is_node(root)) {
    return fault(FaultCode::Malformed, tree.raw()); // one entry, at 0: nothing is mapped there
  }
  return read_node(root, {tree.raw() | kRootParent, 0, UINT64_MAX, 0});
}

Result<void> MapleTreeWalk::read_node(std::uint64_t encoded, const Place &place) {
  const std::uint64_t address = encoded & kNodeMask;
  const std::uint64_t type = encoded >> kTypeShift & kTypeMask;
  const bool is_leaf = type == layout_.leaf_type;
  if ((!is_leaf && type != layout_.range_type && type != layout_.arange_type) ||
      place.depth == kMostDepth) {
    return fault(FaultCode::Malformed, address);
  }
  ObjectCopy node(layout_.node);
  if (const auto loaded = node.load(reader_, GuestVirtual(address)); !loaded) {
    return loaded;
  }
  const std::uint64_t parent = node.number(layout_.parent);
  if ((place.depth == 0 ? parent : parent & kNodeMask) != place.parent) {
    return fault(FaultCode::Malformed, address);
  }
  const auto &shape = type == layout_.arange_type ? layout_.arange : layout_.range;
  const auto pivots = node.bytes(shape.pivots);
  const auto slots = node.bytes(shape.slots);
  const std::size_t most_pivots = pivots.size() / sizeof(std::uint64_t);
  std::uint64_t first = place.first;
  for (std::size_t slot = 0;; ++slot) {
    // The last range in use ends where its node does: its pivot is 0 or not there.
    const std::uint64_t pivot = slot < most_pivots ? entry_in(pivots, slot) : 0;
    const std::uint64_t last = pivot == 0 ? place.last : pivot;
    if (last < first || last > place.last) {
      return fault(FaultCode::Malformed, address);
    }
    const std::uint64_t value = entry_in(slots, slot);
    if (is_leaf && value != 0) {
      if (entries_.size() == most_) {
        return fault(FaultCode::LimitReached, address);
      }
      entries_.push_back({first, last, GuestVirtual(value)});
    } else if (!is_leaf) {
      const auto below = read_node(value, {address, first, last, place.depth + 1});
      if (!below) {
        return below;
      }
    }
    if (last == place.last) {
      return {};
    }
    first = last + 1;
  }
}

} // namespace outguard::guest
