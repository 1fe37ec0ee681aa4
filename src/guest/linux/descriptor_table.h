#pragma once
// A process's table of descriptors: where its slots lie, and which stretches of them are in use.
// The slots themselves are the caller's to read. Borrows the layout.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "guest/linux/kernel_reader.h"
#include "guest/linux/linux_layout.h"

namespace outguard::guest {

struct DescriptorTable {
  /// Slots that are read at once: one page.
  static constexpr std::size_t kStretchSlots = 512;
  struct Stretch {
    GuestVirtual start;
    std::size_t count = 0; ///< at most kStretchSlots
    std::int32_t first_fd = 0;
  };

  GuestVirtual slots;
  GuestVirtual open_bits;
  std::uint64_t size = 0; ///< in slots

  /// Those with an open descriptor; all, where that cannot be read. `size` is to be capped before.
  [[nodiscard]] std::vector<Stretch> open_stretches(KernelReader &reader) const;

  friend bool operator==(const DescriptorTable &, const DescriptorTable &) = default;
};

class DescriptorTableReader {
public:
  explicit DescriptorTableReader(const FileLayout &layout)
      : layout_(layout), files_(layout.files), table_(layout.table) {}

  /// Of a files_struct.
  [[nodiscard]] Result<DescriptorTable> locate(GuestVirtual files, KernelReader &reader);

private:
  const FileLayout &layout_;
  ObjectCopy files_, table_;
};

} // namespace outguard::guest
