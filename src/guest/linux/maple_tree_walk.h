#pragma once
// All entries of a kernel maple tree (lib/maple_tree.c, since 6.1), the B-tree of ranges that holds
// a process's mappings. The tree changes while it is read: a node that was cut off points to
// itself, and every node names its parent, so a stale or wild one is noticed. Borrows the layout.

#include <cstdint>
#include <string>
#include <vector>

#include "guest/linux/kernel_reader.h"
#include "guest/linux/struct_binder.h"

namespace outguard::guest {

struct MapleTreeLayout {
  struct Shape {
    Member pivots, slots;
  };
  Extent node; ///< all of it
  Member parent;
  Shape range, arange; ///< leaves have the shape of range
  std::uint64_t leaf_type = 0, range_type = 0, arange_type = 0;

  [[nodiscard]] static MapleTreeLayout bind(const TypeTable &types, std::string &missing);
};

struct MapleEntry {
  std::uint64_t first = 0, last = 0; ///< both belong to it
  GuestVirtual value;
};

class MapleTreeWalk {
public:
  MapleTreeWalk(const MapleTreeLayout &layout, KernelReader &reader)
      : layout_(layout), reader_(reader) {}

  /// In order of their ranges. `tree` is the address of the struct maple_tree, `root` what its
  /// ma_root holds. Malformed: the tree changed under us or contradicts itself; LimitReached: the
  /// budget is gone, or there are more than `most`. entries() has what was found till then.
  [[nodiscard]] Result<void> read(GuestVirtual tree, std::uint64_t root, std::size_t most);
  [[nodiscard]] const std::vector<MapleEntry> &entries() const { return entries_; }

private:
  struct Place {
    std::uint64_t parent = 0; ///< what the node's parent member must name
    std::uint64_t first = 0, last = 0;
    int depth = 0;
  };
  [[nodiscard]] Result<void> read_node(std::uint64_t encoded, const Place &place);

  const MapleTreeLayout &layout_;
  KernelReader &reader_;
  std::size_t most_ = 0;
  std::vector<MapleEntry> entries_;
};

} // namespace outguard::guest
