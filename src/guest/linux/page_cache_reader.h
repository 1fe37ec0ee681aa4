#pragma once
// A file's bytes as the guest's page cache holds them: address_space -> xarray -> struct page ->
// frame. A page counts as resident only when its struct page says, before and after its bytes were
// copied, that it is this file's page at this index and up to date. Borrows the layout.

#include <bitset>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>

#include "guest/linux/kernel_reader.h"
#include "guest/linux/xarray_walk.h"
#include "guest/symbols/symbol_table.h"

namespace outguard::guest {

struct PageCacheLayout {
  XArrayLayout xarray;
  Extent mapping;
  Member host, head;
  std::uint32_t pages = 0; ///< offset of i_pages in address_space
  Extent page;
  Member page_flags, page_mapping, page_index;
  std::optional<Member> compound_head;
  std::uint32_t page_bytes = 0; ///< sizeof(struct page)
  unsigned up_to_date_bit = 0;
  Extent inode;
  Member number, mode, size, superblock;
  Member modified_seconds, modified_nanoseconds, changed_seconds, changed_nanoseconds;
  std::optional<Member> lock; ///< count of i_rwsem; none: PREEMPT_RT, whose lock is another one
  Extent superblock_extent;
  Member magic;
  GuestVirtual page_map; ///< address of the variable vmemmap_base

  [[nodiscard]] static tl::expected<PageCacheLayout, std::string> bind(const TypeTable &types,
                                                                       const SymbolTable &symbols);
};

/// A regular file, and the state that its bytes are in: equal before and after means unchanged.
struct CachedFile {
  GuestVirtual mapping; ///< struct address_space
  GuestVirtual inode;
  std::uint64_t inode_number = 0;
  std::uint64_t bytes = 0;
  std::uint64_t modified_seconds = 0, modified_nanoseconds = 0;
  std::uint64_t changed_seconds = 0, changed_nanoseconds = 0;
  std::uint64_t magic = 0; ///< of its file system (include/uapi/linux/magic.h)
  /// A writer holds its i_rwsem: write(2) sets the times first and goes on to change the bytes.
  bool being_written = false;

  auto operator<=>(const CachedFile &) const = default;
  /// It lives in memory alone: what has no page there is a hole, and reads as zeros.
  [[nodiscard]] bool is_memory_only() const;
  /// Its bytes are in another file's page cache.
  [[nodiscard]] bool is_overlay() const;
  /// It may be the layer's file of `front`, a file on an overlay: that shows the size and the times
  /// of what is behind it (ovl_copyattr), and no program can choose a file's time of change.
  [[nodiscard]] bool can_stand_behind(const CachedFile &front) const;
};

class PageCacheReader {
public:
  static constexpr std::uint64_t kPageBytes = 4096;
  static constexpr std::size_t kMostPages = 256; ///< of one read: 1 MiB
  using Residency = std::bitset<kMostPages>;

  explicit PageCacheReader(const PageCacheLayout &layout) : layout_(layout) {}

  /// The file whose page cache is `mapping`. Malformed: no regular file's, or on hugetlbfs.
  [[nodiscard]] Result<CachedFile> file_of(GuestVirtual mapping, KernelReader &reader) const;

  /// Copies pages from index `first` on into `out`, whose size is a multiple of the page's; tells
  /// which were resident. The bytes of the others are zero. A fault: nothing more can be read.
  [[nodiscard]] Result<Residency> read(const CachedFile &file, std::uint64_t first,
                                       std::span<std::uint8_t> out, KernelReader &reader) const;

private:
  class Pass;
  const PageCacheLayout &layout_;
};

} // namespace outguard::guest
