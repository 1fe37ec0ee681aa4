#include "guest/linux/memory_map_walker.h"

namespace outguard::guest {
namespace {

std::optional<BackingFileLayout> bind_backing_file(const TypeTable &types) {
  std::string missing;
  BackingFileLayout layout;
  layout.mode = StructBinder(types, "file", missing).number("f_mode");
  StructBinder file(types, "backing_file", missing);
  layout.mount = file.pointer("user_path.mnt").offset;
  layout.dentry = file.pointer("user_path.dentry").offset;
  layout.dentry_inode = StructBinder(types, "dentry", missing).pointer("d_inode").offset;
  return missing.empty() ? std::optional(layout) : std::nullopt;
}

} // namespace

tl::expected<MemoryMapLayout, std::string> MemoryMapLayout::bind(const TypeTable &types,
                                                                 const SymbolTable &symbols) {
  std::string missing;
  MemoryMapLayout layout;

  StructBinder mm(types, "mm_struct", missing);
  layout.count = mm.number("map_count");
  layout.heap_start = mm.number("start_brk");
  layout.heap_end = mm.number("brk");
  layout.stack_start = mm.number("start_stack");
  layout.root = mm.optional_member("mm_mt.ma_root", 8);
  if (layout.root) { // since 6.1
    layout.tree = mm.place("mm_mt").offset;
    layout.tree_node = MapleTreeLayout::bind(types, missing);
  } else {
    layout.first = mm.pointer("mmap");
  }
  layout.mm = mm.extent();

  StructBinder area(types, "vm_area_struct", missing);
  layout.start = area.number("vm_start");
  layout.end = area.number("vm_end");
  layout.flags = area.number("vm_flags");
  layout.page_offset = area.number("vm_pgoff");
  layout.file = area.pointer("vm_file");
  layout.owner = area.pointer("vm_mm");
  layout.operations = area.pointer("vm_ops");
  layout.private_data = area.pointer("vm_private_data");
  if (!layout.root) {
    layout.next = area.pointer("vm_next");
  }
  layout.anonymous_name = area.optional_member("anon_name", 8); // 5.17, where configured
  layout.area = area.extent();

  StructBinder inode(types, "inode", missing);
  layout.inode_number = inode.number("i_ino");
  layout.inode = inode.extent();

  const auto offset_of = [&](std::string_view type, std::string_view member) {
    const auto place = StructBinder(types, type, missing).optional_place(member);
    return place ? std::optional(place->offset) : std::nullopt;
  };
  layout.name_function = offset_of("vm_operations_struct", "name");
  layout.special_name = offset_of("vm_special_mapping", "name");
  layout.anonymous_text = offset_of("anon_vma_name", "name");
  layout.special_operations = symbols.find("special_mapping_vmops");
  layout.backing_file = bind_backing_file(types);
  if (!missing.empty()) {
    return tl::unexpected(missing);
  }
  return layout;
}

} // namespace outguard::guest
