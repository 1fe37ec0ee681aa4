#pragma once
// Builds one file in a page cache: inode, address_space, xarray nodes, struct pages and frames, in
// a GuestImageBuilder, with made-up offsets. Entries, nodes and pages can be spoilt one by one. One
// thread at a time.
//
//   PageCacheImage image;
//   image.make_file(40 * 4096 + 17);
//   image.store_pages(41, 1);          // 41 pages under one level of nodes

#include <cstdint>
#include <string_view>
#include <vector>

#include "guest/testing/fake_symbol_table.h"
#include "guest/testing/fake_type_table.h"
#include "guest/testing/guest_image_builder.h"

namespace outguard::guest {

class PageCacheImage {
public:
  PageCacheImage();

  /// Fills frames with bytes of which no two pages are alike; nothing is in the cache yet.
  void make_file(std::size_t bytes);
  /// No two neighbouring pages of the file in neighbouring frames from now on.
  void scatter() { scattered_ = true; }

  /// Pages of their own at the indexes below `count`, under `levels` levels of nodes.
  void store_pages(std::uint64_t count, unsigned levels);
  /// One folio: its first page in every slot of a leaf; in a slot and siblings behind it; in one
  /// slot of a node above the leaves.
  void store_folio_everywhere(std::uint64_t first, std::uint64_t count);
  void store_folio_with_siblings(std::uint64_t first, std::uint64_t count);
  void store_folio_above(std::uint64_t first, std::uint64_t count);

  /// Raw entry of an index, in its leaf.
  void set_entry(std::uint64_t index, std::uint64_t entry);
  void set_page(std::uint64_t index, std::string_view member, std::uint64_t value);
  /// A member of the n-th node made; 0 is the top. Returns what was there.
  std::uint64_t set_node(std::size_t number, std::string_view member, std::uint64_t value);
  void set_magic(std::uint64_t magic);
  void set_mode(std::uint64_t mode);
  void become_inode(std::uint64_t number);
  /// As a write does: another modification time.
  void touch();
  /// Word of the inode's lock: bit 0 is a writer's, each reader adds 256.
  void set_lock(std::uint64_t count);

  [[nodiscard]] GuestVirtual mapping() const { return mapping_; }
  [[nodiscard]] GuestVirtual page_of(std::uint64_t index) const;
  [[nodiscard]] GuestVirtual node(std::size_t number) const { return nodes_.at(number).address; }
  [[nodiscard]] const std::vector<std::uint8_t> &bytes() const { return bytes_; }
  [[nodiscard]] GuestImageBuilder &builder() { return builder_; }
  [[nodiscard]] FakeTypeTable &types() { return types_; }
  [[nodiscard]] FakeSymbolTable &symbols() { return symbols_; }

private:
  struct Node {
    GuestVirtual address;
    std::uint64_t base = 0;
    unsigned shift = 0;
  };
  void define(std::string_view type,
              const std::vector<std::pair<std::string, std::uint32_t>> &members);
  [[nodiscard]] GuestVirtual at(GuestVirtual object, std::string_view type,
                                std::string_view member) const;
  void set(GuestVirtual object, std::string_view type, std::string_view member,
           std::uint64_t value);
  [[nodiscard]] std::uint64_t get(GuestVirtual object, std::string_view type,
                                  std::string_view member);
  /// The node that covers an index at this shift, made with all above it.
  GuestVirtual node_at(std::uint64_t index, unsigned shift);
  void store(std::uint64_t index, unsigned shift, std::uint64_t entry);
  void fill_folio(std::uint64_t first, std::uint64_t count);

  GuestImageBuilder builder_;
  FakeTypeTable types_;
  FakeSymbolTable symbols_;
  GuestVirtual mapping_, inode_, superblock_, page_map_;
  GuestPhysical frames_;
  std::vector<std::uint8_t> bytes_;
  std::vector<Node> nodes_;
  unsigned top_shift_ = 0;
  bool scattered_ = false;
};

} // namespace outguard::guest
