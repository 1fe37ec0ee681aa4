#pragma once
// What is mapped into a process, as its /proc/PID/maps lists it, out of the list of mappings (up to
// 6.0) or the maple tree (since 6.1). [vsyscall] is not among them: no process maps it, the kernel
// adds it to every list. Borrows layouts and TaskList; keeps nothing between walks.

#include <optional>
#include <string>
#include <vector>

#include "facts/process_detail.h"
#include "guest/linux/completeness.h"
#include "guest/linux/linux_layout.h"
#include "guest/linux/maple_tree_walk.h"
#include "guest/linux/memo.h"
#include "guest/linux/path_reader.h"
#include "guest/linux/task_list.h"

namespace outguard::guest {

/// Of a file that an overlay opened in one of its layers: the path and inode that users know it by
/// (struct backing_file, since 6.5).
struct BackingFileLayout {
  Member mode;
  std::uint32_t mount = 0, dentry = 0; ///< offsets of user_path's members
  std::uint32_t dentry_inode = 0;      ///< offset of d_inode in struct dentry
};

struct MemoryMapLayout {
  Extent mm;
  Member count, heap_start, heap_end, stack_start;
  std::optional<Member> first;              ///< of the list
  std::optional<Member> root;               ///< of the tree
  std::uint32_t tree = 0;                   ///< offset of the struct maple_tree in mm_struct
  std::optional<MapleTreeLayout> tree_node; ///< there when root is
  Extent area;
  Member start, end, flags, page_offset, file, owner, operations, private_data;
  std::optional<Member> next, anonymous_name;
  Extent inode;
  Member inode_number;
  std::optional<std::uint32_t> name_function;     ///< offset in vm_operations_struct
  std::optional<std::uint32_t> special_name;      ///< offset in vm_special_mapping
  std::optional<std::uint32_t> anonymous_text;    ///< offset in anon_vma_name
  std::optional<GuestVirtual> special_operations; ///< of [vdso] and its like
  std::optional<BackingFileLayout> backing_file;

  [[nodiscard]] static tl::expected<MemoryMapLayout, std::string> bind(const TypeTable &types,
                                                                       const SymbolTable &symbols);
};

struct MapsSeen {
  std::vector<MapSeen> maps; ///< by address
  Completeness completeness;
};

/// A file that is mapped to run code of.
struct CodeFile {
  GuestVirtual file; ///< struct file
  MapSeen map;       ///< the first of its mappings
};

struct CodeSeen {
  std::vector<CodeFile> files; ///< each once, by address
  Completeness completeness;
};

class MemoryMapWalker {
public:
  MemoryMapWalker(const MemoryMapLayout &layout, const LinuxLayout &kernel, const TaskList &tasks)
      : layout_(layout), kernel_(kernel), tasks_(tasks), paths_(kernel.path) {}

  [[nodiscard]] MapsSeen walk(GuestVirtual mm, KernelReader &reader) const;
  [[nodiscard]] CodeSeen code(GuestVirtual mm, KernelReader &reader) const;
  /// The struct file that is mapped at an address; null for none.
  [[nodiscard]] GuestVirtual file_at(GuestVirtual mm, GuestVirtual address,
                                     KernelReader &reader) const;

private:
  /// One vm_area_struct.
  struct Area {
    std::uint64_t start = 0, end = 0, flags = 0, page_offset = 0;
    GuestVirtual file, owner, next, operations, private_data, anonymous_name;
  };
  struct FileName {
    std::uint64_t inode = 0;
    std::optional<PathSeen> path;
  };
  /// What is the same for all areas of one walk.
  struct Shared {
    const ObjectCopy &mm;
    std::optional<PathPoint> root; ///< of the guest's pid 1
    Memo<FileName> files;
  };

  /// All areas, in order; `mm` is loaded.
  [[nodiscard]] std::vector<Area> areas_of(GuestVirtual address, ObjectCopy &mm,
                                           KernelReader &reader, Completeness &completeness) const;
  /// Malformed: changed meanwhile, or a lie. What was found till then stays in `found`.
  [[nodiscard]] Result<void> follow_list(const ObjectCopy &mm, KernelReader &reader,
                                         std::vector<Area> &found) const;
  [[nodiscard]] Result<void> follow_tree(const ObjectCopy &mm, KernelReader &reader,
                                         std::vector<Area> &found) const;
  [[nodiscard]] Result<Area> read_area(GuestVirtual address, GuestVirtual mm,
                                       KernelReader &reader) const;
  [[nodiscard]] MapSeen describe(const Area &area, Shared &shared, KernelReader &reader) const;
  [[nodiscard]] bool is_backing_file(GuestVirtual file, KernelReader &reader) const;
  [[nodiscard]] FileName name_of_file(GuestVirtual file, const std::optional<PathPoint> &root,
                                      KernelReader &reader) const;
  /// As the kernel names a mapping without a file; empty: not at all; nullopt: not known.
  [[nodiscard]] std::optional<GuestText> name_of_memory(const Area &area, const ObjectCopy &mm,
                                                        KernelReader &reader) const;

  const MemoryMapLayout &layout_;
  const LinuxLayout &kernel_;
  const TaskList &tasks_;
  PathReader paths_;
};

} // namespace outguard::guest
