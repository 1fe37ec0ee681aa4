#pragma once
// Reads a stretch of a kernel xarray (lib/xarray.c), the kernel's sparse array of pointers: the
// entry at each index, whatever levels and multi-index entries lie in between. Borrows the layout.

#include <cstdint>
#include <span>
#include <string>

#include "guest/linux/kernel_reader.h"
#include "guest/linux/struct_binder.h"
#include "guest/linux/xarray_entry.h"

namespace outguard::guest {

struct XArrayLayout {
  Extent node;
  Member shift, offset, parent, array, slots;

  [[nodiscard]] static XArrayLayout bind(const TypeTable &types, std::string &missing);
};

class XArrayWalk {
public:
  XArrayWalk(const XArrayLayout &layout, KernelReader &reader) : layout_(layout), reader_(reader) {}

  /// Entries of the indexes from `first` on. `array` is the address of the struct xarray, `head`
  /// what its xa_head holds. Malformed: nodes that do not belong to it or contradict themselves,
  /// be it because the array changed meanwhile; try again.
  [[nodiscard]] Result<void> read(GuestVirtual array, XArrayEntry head, std::uint64_t first,
                                  std::span<XArrayEntry> out);

private:
  /// Where a node hangs: what it must itself say.
  struct Place {
    GuestVirtual parent; ///< null: it is the head
    std::uint64_t slot = 0;
    std::uint64_t base = 0;  ///< its first index
    std::uint64_t shift = 0; ///< of the node; of the head not known before
  };
  [[nodiscard]] Result<void> read_node(GuestVirtual node, const Place &place);
  [[nodiscard]] Result<XArrayEntry> entry_at(const ObjectCopy &node, std::uint64_t slot) const;

  const XArrayLayout &layout_;
  KernelReader &reader_;
  GuestVirtual array_;
  std::uint64_t first_ = 0;
  std::span<XArrayEntry> out_;
};

} // namespace outguard::guest
