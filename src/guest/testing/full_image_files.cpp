// The part of FullImage that is files and what is mapped: page caches, maps, as list and as tree.

#include <string>

#include "guest/testing/full_image.h"

namespace outguard::guest {
namespace {

constexpr std::uint64_t kPage = 4096, kPageStruct = 64;
constexpr std::uint64_t kPageMap = 0xffff'ea00'0000'0000;
constexpr std::uint64_t kExt4 = 0xef53, kOverlay = 0x794c7630;
constexpr std::uint64_t kLeaf = 1, kRange = 2, kArange = 3; ///< enum maple_type
constexpr std::uint64_t kCode = 0x40'0000, kAreaStep = 0x3000;

} // namespace

void FullImage::define_map_types() {
  FakeTypeTable &types = image_.types();
  for (const char *member : {"vm_start", "vm_end", "vm_next", "vm_mm", "vm_flags", "vm_ops",
                             "vm_pgoff", "vm_file", "vm_private_data", "anon_name"}) {
    image_.grow("vm_area_struct", member, 8);
  }
  for (const char *member :
       {"mmap", "map_count", "start_brk", "brk", "start_stack", "start_code"}) {
    image_.grow("mm_struct", member, 8);
  }
  image_.grow("vm_operations_struct", "open", 8);
  image_.grow("vm_operations_struct", "name", 8);
  image_.grow("vm_special_mapping", "name", 8);
  image_.grow("anon_vma_name", "kref", 8);
  image_.grow("anon_vma_name", "name", 0);
  if (!has_trees()) {
    return;
  }
  image_.grow("mm_struct", "mm_mt", 24);
  Member root = types.member("mm_struct", "mm_mt").value();
  root = {root.offset + 8, 8, 0, 0};
  types.add_member("mm_struct", "mm_mt.ma_root", root);
  types.add_member("maple_node", "parent", {0, 8, 0, 0});
  types.add_type("maple_node", 256);
  types.add_member("maple_range_64", "pivot", {8, 15 * 8, 0, 0});
  types.add_member("maple_range_64", "slot", {128, 16 * 8, 0, 0});
  types.add_member("maple_arange_64", "pivot", {8, 9 * 8, 0, 0});
  types.add_member("maple_arange_64", "slot", {80, 10 * 8, 0, 0});
  types.add_enumerator("maple_leaf_64", kLeaf);
  types.add_enumerator("maple_range_64", kRange);
  types.add_enumerator("maple_arange_64", kArange);
}

void FullImage::define_file_types() {
  FakeTypeTable &types = image_.types();
  image_.grow("file", "f_mapping", 8);
  image_.grow("file", "f_mode", 4);
  image_.grow("file", "f_count.counter", 8);
  for (const char *member : {"user_path.mnt", "user_path.dentry"}) { // behind its struct file
    image_.grow("file", member, 8);
    types.add_member("backing_file", member, types.member("file", member).value());
  }
  image_.grow("dentry", "d_inode", 8);
  for (const char *member : {"i_ino", "i_size", "i_sb", "i_mtime.tv_sec", "i_mtime.tv_nsec",
                             "i_rwsem.count.counter", "i_ctime.tv_sec", "i_ctime.tv_nsec"}) {
    image_.grow("inode", member, 8);
  }
  image_.grow("address_space", "host", 8);
  image_.grow("address_space", "i_pages", 8);
  image_.grow("address_space", "i_pages.xa_head", 8);
  image_.grow("super_block", "s_magic", 8);
  for (const char *member : {"flags", "mapping", "index", "compound_head"}) {
    image_.grow("page", member, 8);
    if (has_trees()) {
      types.add_member("folio", member, types.member("page", member).value());
    }
  }
  types.add_type("folio", kPageStruct);
  types.add_type("page", kPageStruct);
  types.add_enumerator("PG_uptodate", 2);
}

void FullImage::make_files() {
  const GuestVirtual variable = builder().allocate(8);
  builder().put(variable, kPageMap);
  image_.symbols().add("vmemmap_base", variable);
  special_ = builder().allocate(64);
  image_.symbols().add("special_mapping_vmops", special_);
  const GuestVirtual program = make_file_pages(20, kExt4), lower = make_file_pages(9, kExt4),
                     upper = make_file_pages(9, kOverlay);
  for (const GuestVirtual user : users_) {
    const bool is_layered = user == users_.back();
    const GuestVirtual mm(image_.get(user, "task_struct", "mm"));
    const GuestVirtual exe(image_.get(mm, "mm_struct", "exe_file"));
    image_.set(exe, "file", "f_mapping", (is_layered ? upper : program).raw());
    const GuestVirtual backing = image_.open_file("/lower/program");
    image_.set(backing, "file", "f_mapping", (is_layered ? lower : program).raw());
    const GuestVirtual inode(image_.get(lower, "address_space", "host"));
    image_.set(backing, "file", "f_inode", inode.raw());
    if (is_layered) {
      image_.set(backing, "file", "f_mode", 1U << 25); // FMODE_BACKING
      for (const char *part : {"mnt", "dentry"}) {
        image_.set(backing, "file", std::string("user_path.") + part,
                   image_.get(exe, "file", std::string("f_path.") + part));
      }
      const GuestVirtual seen(image_.get(exe, "file", "f_path.dentry"));
      image_.set(seen, "dentry", "d_inode", inode.raw());
    }
    make_maps(user, backing);
  }
}

/// An address_space: a leaf below a top node, with a folio of four pages at index 4.
GuestVirtual FullImage::make_file_pages(std::uint64_t pages, std::uint64_t magic) {
  constexpr std::uint64_t kFolio = 4;
  const GuestVirtual mapping = new_object("address_space"), inode = new_object("inode"),
                     superblock = new_object("super_block"), top = new_object("xa_node"),
                     leaf = new_object("xa_node");
  const GuestVirtual array = image_.at(mapping, "address_space", "i_pages");
  image_.set(mapping, "address_space", "host", inode.raw());
  image_.set(mapping, "address_space", "i_pages.xa_head", top.raw() | 2);
  image_.set(inode, "inode", "i_mode", 0100755);
  image_.set(inode, "inode", "i_ino", inode.raw() & 0xffff);
  image_.set(inode, "inode", "i_sb", superblock.raw());
  image_.set(inode, "inode", "i_size", pages * kPage - 100);
  image_.set(superblock, "super_block", "s_magic", magic);
  for (const GuestVirtual node : {top, leaf}) {
    image_.set(node, "xa_node", "array", array.raw());
  }
  image_.set(top, "xa_node", "shift", 6);
  image_.set(leaf, "xa_node", "parent", top.raw());
  builder().put(image_.at(top, "xa_node", "slots"), leaf.raw() | 2);

  const GuestPhysical frames = builder().allocate_physical(pages * kPage, kPage);
  const GuestVirtual first(kPageMap + frames.raw() / kPage * kPageStruct);
  builder().map(first, pages * kPageStruct);
  for (std::uint64_t index = 0; index < pages; ++index) {
    const GuestVirtual page = first.plus_wrapping(index * kPageStruct);
    const bool in_folio = index / kFolio == 1, is_head = !in_folio || index == kFolio;
    const GuestVirtual head = in_folio ? first.plus_wrapping(kFolio * kPageStruct) : page;
    image_.set(page, "page", "mapping", is_head ? mapping.raw() : 0);
    image_.set(page, "page", "index", is_head ? index : 0);
    image_.set(page, "page", "flags", is_head ? 4 : 0);
    image_.set(page, "page", "compound_head", is_head ? 0 : head.raw() | 1);
    const std::uint64_t sibling = kFolio << 2 | 2;
    builder().put(image_.at(leaf, "xa_node", "slots").plus_wrapping(index * 8),
                  has_trees() && !is_head ? sibling : head.raw());
  }
  objects_.push_back({first, pages * kPageStruct});
  return mapping;
}

void FullImage::make_maps(GuestVirtual task, GuestVirtual file) {
  const GuestVirtual mm(image_.get(task, "task_struct", "mm"));
  const auto set_mm = [&](const char *member, std::uint64_t value) {
    image_.set(mm, "mm_struct", member, value);
  };
  std::vector<GuestVirtual> areas;
  for (std::uint64_t index = 0; index < 9; ++index) {
    const GuestVirtual area = new_object("vm_area_struct");
    const std::uint64_t start = kCode + index * kAreaStep;
    image_.set(area, "vm_area_struct", "vm_start", start);
    image_.set(area, "vm_area_struct", "vm_end", start + 0x2000);
    image_.set(area, "vm_area_struct", "vm_mm", mm.raw());
    image_.set(area, "vm_area_struct", "vm_flags", 0x75);
    if (!areas.empty()) {
      image_.set(areas.back(), "vm_area_struct", "vm_next", area.raw());
    }
    areas.push_back(area);
  }
  const auto set_area = [&](std::size_t area, const char *member, GuestVirtual value) {
    image_.set(areas[area], "vm_area_struct", member, value.raw());
  };
  set_area(0, "vm_file", file);
  set_area(1, "vm_file", file);
  const GuestVirtual name = builder().allocate(32), mapping = builder().allocate(64);
  builder().put_text(name.plus_wrapping(8), "arena");
  set_area(2, "anon_name", name);
  builder().put_pointer(mapping, mapping.plus_wrapping(16));
  builder().put_text(mapping.plus_wrapping(16), "[vdso]");
  set_area(3, "vm_ops", special_);
  set_area(3, "vm_private_data", mapping);
  set_mm("mmap", areas.front().raw());
  set_mm("map_count", areas.size());
  set_mm("start_code", kCode + 0x10);
  set_mm("start_brk", kCode + 5 * kAreaStep);
  set_mm("brk", kCode + 5 * kAreaStep + 0x1000);
  set_mm("start_stack", kCode + 8 * kAreaStep + 8);
  if (has_trees()) {
    put_maps_into_tree(mm, areas);
  }
}

/// Leaves of three below one node, each area behind a gap.
void FullImage::put_maps_into_tree(GuestVirtual mm, const std::vector<GuestVirtual> &areas) {
  constexpr std::size_t kInLeaf = 3;
  const GuestVirtual root = builder().allocate(256, 256);
  const auto put = [&](GuestVirtual node, std::uint64_t slots, std::uint64_t slot,
                       std::uint64_t last, std::uint64_t value) {
    builder().put(node.plus_wrapping(8 + slot * 8), last == UINT64_MAX ? 0 : last);
    builder().put(node.plus_wrapping(slots + slot * 8), value);
  };
  std::uint64_t next = 0;
  for (std::uint64_t number = 0; number * kInLeaf < areas.size(); ++number) {
    const GuestVirtual leaf = builder().allocate(256, 256);
    builder().put(leaf, root.raw() | number << 3 | 6);
    std::uint64_t slot = 0;
    for (std::size_t index = number * kInLeaf; index < (number + 1) * kInLeaf; ++index) {
      const std::uint64_t start = image_.get(areas[index], "vm_area_struct", "vm_start");
      next = image_.get(areas[index], "vm_area_struct", "vm_end");
      put(leaf, 128, slot++, start - 1, 0);
      put(leaf, 128, slot++, next - 1, areas[index].raw());
    }
    const bool is_last = (number + 1) * kInLeaf >= areas.size();
    if (is_last) {
      put(leaf, 128, slot, UINT64_MAX, 0);
    }
    put(root, 80, number, is_last ? UINT64_MAX : next - 1, leaf.raw() | kLeaf << 3 | 4);
  }
  builder().put(root, image_.at(mm, "mm_struct", "mm_mt").raw() | 1);
  image_.set(mm, "mm_struct", "mm_mt.ma_root", root.raw() | kArange << 3 | 2);
}

} // namespace outguard::guest
