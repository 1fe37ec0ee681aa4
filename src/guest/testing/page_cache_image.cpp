#include "guest/testing/page_cache_image.h"

#include <algorithm>
#include <array>

namespace outguard::guest {
namespace {

constexpr std::uint64_t kPage = 4096, kPageStruct = 64, kSlots = 64, kSlotBits = 6;
constexpr unsigned kUpToDate = 2;
constexpr std::uint64_t kNode = 2;               ///< low bits of an entry that leads to a node
constexpr std::uint64_t kFirstFrame = 0x10'0000; ///< at 4 GiB: the builder itself is below

} // namespace

void PageCacheImage::define(std::string_view type,
                            const std::vector<std::pair<std::string, std::uint32_t>> &members) {
  std::uint32_t offset = 8; // nothing is where it could be by chance
  for (const auto &[member, size] : members) {
    types_.add_member(std::string(type), member, {offset, size, 0, 0});
    offset += (size + 7) / 8 * 8;
  }
  types_.add_type(std::string(type), offset);
}

PageCacheImage::PageCacheImage() {
  define("xa_node",
         {{"slots", kSlots * 8}, {"array", 8}, {"parent", 8}, {"shift", 1}, {"offset", 1}});
  define("address_space", {{"i_pages", 16}, {"host", 8}});
  types_.add_member("address_space", "i_pages.xa_head", {16, 8, 0, 0});
  define("page", {{"index", 8}, {"mapping", 8}, {"flags", 8}, {"compound_head", 8}});
  types_.add_type("page", kPageStruct);
  define("inode", {{"i_size", 8},
                   {"i_ino", 8},
                   {"i_mode", 2},
                   {"i_sb", 8},
                   {"i_mtime.tv_sec", 8},
                   {"i_mtime.tv_nsec", 8},
                   {"__i_ctime.tv_sec", 8},
                   {"__i_ctime.tv_nsec", 8},
                   {"i_rwsem.count.counter", 8}});
  define("super_block", {{"s_magic", 8}});
  types_.add_enumerator("PG_uptodate", kUpToDate);

  mapping_ = builder_.allocate(256);
  inode_ = builder_.allocate(256);
  superblock_ = builder_.allocate(64);
  set(mapping_, "address_space", "host", inode_.raw());
  set(inode_, "inode", "i_sb", superblock_.raw());
  set(inode_, "inode", "i_ino", 7);
  set_mode(0100755);
  set_magic(0xef53);
  const GuestVirtual variable = builder_.allocate(8);
  symbols_.add("vmemmap_base", variable);
  page_map_ = GuestVirtual(0xffff'ea00'0000'0000);
  builder_.put(variable, page_map_.raw());
}

GuestVirtual PageCacheImage::at(GuestVirtual object, std::string_view type,
                                std::string_view member) const {
  return object.plus_wrapping(types_.member(type, member).value().offset);
}

void PageCacheImage::set(GuestVirtual object, std::string_view type, std::string_view member,
                         std::uint64_t value) {
  std::array<std::uint8_t, 8> bytes{};
  for (std::size_t index = 0; index < bytes.size(); ++index) {
    bytes.at(index) = static_cast<std::uint8_t>(value >> index * 8);
  }
  builder_.write(at(object, type, member),
                 std::span(bytes).first(types_.member(type, member).value().size));
}

std::uint64_t PageCacheImage::get(GuestVirtual object, std::string_view type,
                                  std::string_view member) {
  std::uint64_t value = 0;
  static_cast<void>(
      builder_.space().read(at(object, type, member), {reinterpret_cast<std::uint8_t *>(&value),
                                                       types_.member(type, member).value().size}));
  return value;
}

void PageCacheImage::make_file(std::size_t bytes) {
  bytes_.resize(bytes);
  for (std::size_t at = 0; at < bytes; ++at) {
    bytes_[at] = static_cast<std::uint8_t>(at * 7 + at / kPage * 13 + (at >> 17));
  }
  set(inode_, "inode", "i_size", bytes);
}

GuestVirtual PageCacheImage::page_of(std::uint64_t index) const {
  const std::uint64_t frame = kFirstFrame + (scattered_ ? index * 3 % 4099 : index);
  return page_map_.plus_wrapping(frame * kPageStruct);
}

GuestVirtual PageCacheImage::node_at(std::uint64_t index, unsigned shift) {
  const std::uint64_t base = index >> (shift + kSlotBits) << (shift + kSlotBits);
  const auto known = std::ranges::find_if(
      nodes_, [&](const Node &node) { return node.base == base && node.shift == shift; });
  if (known != nodes_.end()) {
    return known->address;
  }
  GuestVirtual parent;
  const bool is_top = shift == top_shift_;
  if (!is_top) {
    parent = node_at(index, shift + kSlotBits);
  }
  const GuestVirtual made = builder_.allocate(1024);
  nodes_.push_back({made, base, shift});
  const GuestVirtual array = at(mapping_, "address_space", "i_pages");
  set(made, "xa_node", "array", array.raw());
  set(made, "xa_node", "parent", parent.raw());
  set(made, "xa_node", "shift", shift);
  if (is_top) {
    set(mapping_, "address_space", "i_pages.xa_head", made.raw() | kNode);
  } else {
    set(made, "xa_node", "offset", index >> (shift + kSlotBits) & (kSlots - 1));
    store(index, shift + kSlotBits, made.raw() | kNode);
  }
  return made;
}

void PageCacheImage::store(std::uint64_t index, unsigned shift, std::uint64_t entry) {
  const GuestVirtual slots = at(node_at(index, shift), "xa_node", "slots");
  builder_.put(slots.plus_wrapping((index >> shift & (kSlots - 1)) * 8), entry);
}

/// Struct pages and frames; each page is its own unless fill_folio says otherwise.
void PageCacheImage::fill_folio(std::uint64_t first, std::uint64_t count) {
  for (std::uint64_t index = first; index < first + count; ++index) {
    const GuestVirtual page = page_of(index);
    const bool is_head = index == first;
    set_page(index, "mapping", is_head ? mapping_.raw() : 0xdead);
    set_page(index, "index", is_head ? index : 0);
    set_page(index, "flags", is_head ? 1U << kUpToDate : 0);
    set_page(index, "compound_head", is_head ? 0 : page_of(first).raw() | 1);
    const std::uint64_t from = std::min<std::uint64_t>(index * kPage, bytes_.size());
    const std::uint64_t length = std::min<std::uint64_t>(bytes_.size() - from, kPage);
    const GuestPhysical frame((page.raw() - page_map_.raw()) / kPageStruct * kPage);
    builder_.memory().map(frame, kPage);
    builder_.memory().write(frame, std::span(bytes_).subspan(from, length));
  }
}

void PageCacheImage::store_pages(std::uint64_t count, unsigned levels) {
  top_shift_ = levels == 0 ? 0 : (levels - 1) * static_cast<unsigned>(kSlotBits);
  for (std::uint64_t index = 0; index < count; ++index) {
    fill_folio(index, 1);
    if (levels == 0) {
      set(mapping_, "address_space", "i_pages.xa_head", page_of(index).raw());
    } else {
      store(index, 0, page_of(index).raw());
    }
  }
}

void PageCacheImage::store_folio_everywhere(std::uint64_t first, std::uint64_t count) {
  fill_folio(first, count);
  for (std::uint64_t index = first; index < first + count; ++index) {
    store(index, 0, page_of(first).raw());
  }
}

void PageCacheImage::store_folio_with_siblings(std::uint64_t first, std::uint64_t count) {
  fill_folio(first, count);
  store(first, 0, page_of(first).raw());
  for (std::uint64_t index = first + 1; index < first + count; ++index) {
    store(index, 0, (first & (kSlots - 1)) << 2 | kNode);
  }
}

void PageCacheImage::store_folio_above(std::uint64_t first, std::uint64_t count) {
  top_shift_ = kSlotBits;
  fill_folio(first, count);
  store(first, kSlotBits, page_of(first).raw());
}

void PageCacheImage::set_entry(std::uint64_t index, std::uint64_t entry) {
  store(index, 0, entry);
}
void PageCacheImage::set_page(std::uint64_t index, std::string_view member, std::uint64_t value) {
  set(page_of(index), "page", member, value);
}
std::uint64_t PageCacheImage::set_node(std::size_t number, std::string_view member,
                                       std::uint64_t value) {
  const std::uint64_t before = get(node(number), "xa_node", member);
  set(node(number), "xa_node", member, value);
  return before;
}
void PageCacheImage::set_magic(std::uint64_t magic) {
  set(superblock_, "super_block", "s_magic", magic);
}
void PageCacheImage::set_mode(std::uint64_t mode) {
  set(inode_, "inode", "i_mode", mode);
}
void PageCacheImage::become_inode(std::uint64_t number) {
  set(inode_, "inode", "i_ino", number);
}
void PageCacheImage::touch() {
  set(inode_, "inode", "i_mtime.tv_nsec", get(inode_, "inode", "i_mtime.tv_nsec") + 1);
}

void PageCacheImage::set_lock(std::uint64_t count) {
  set(inode_, "inode", "i_rwsem.count.counter", count);
}

} // namespace outguard::guest
