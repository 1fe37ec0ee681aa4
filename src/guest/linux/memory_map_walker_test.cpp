#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/linux/memory_map_walker.h"
#include "guest/testing/linux_image.h"

namespace outguard::guest {
namespace {

constexpr std::uint64_t kLeaf = 1, kRange = 2, kArange = 3;
constexpr std::uint64_t kReadExecute = 1 | 4, kReadWrite = 1 | 2;

/// A process with mappings in a list or a tree; its other objects are LinuxImage's.
struct MapsTest : testing::Test {
  MapsTest() {
    const auto define = [&](const std::string &type, std::uint32_t size,
                            std::initializer_list<std::pair<const char *, std::uint32_t>> members) {
      for (const auto &[member, offset] : members) {
        image.types().add_member(type, member, {offset, 8, 0, 0});
      }
      image.types().add_type(type, size);
    };
    define("vm_area_struct", 128,
           {{"vm_start", 0},
            {"vm_end", 8},
            {"vm_next", 16},
            {"vm_mm", 24},
            {"vm_flags", 32},
            {"vm_ops", 40},
            {"vm_pgoff", 48},
            {"vm_file", 56},
            {"vm_private_data", 64},
            {"anon_name", 72}});
    define("mm_struct", 256,
           {{"mmap", 64},
            {"mm_mt.ma_root", 80},
            {"map_count", 96},
            {"start_brk", 104},
            {"brk", 112},
            {"start_stack", 120}});
    image.types().add_member("mm_struct", "mm_mt", {72, 24, 0, 0});
    image.types().add_member("inode", "i_ino", {16, 8, 0, 0});
    define("vm_operations_struct", 64, {{"name", 24}});
    define("vm_special_mapping", 24, {{"name", 0}});
    image.types().add_member("anon_vma_name", "name", {8, 0, 0, 0});
    image.types().add_type("anon_vma_name", 8);
    image.types().add_member("maple_node", "parent", {0, 8, 0, 0});
    image.types().add_type("maple_node", 256);
    image.types().add_member("maple_range_64", "pivot", {8, 15 * 8, 0, 0});
    image.types().add_member("maple_range_64", "slot", {128, 16 * 8, 0, 0});
    image.types().add_member("maple_arange_64", "pivot", {8, 9 * 8, 0, 0});
    image.types().add_member("maple_arange_64", "slot", {80, 10 * 8, 0, 0});
    image.types().add_enumerator("maple_leaf_64", kLeaf);
    image.types().add_enumerator("maple_range_64", kRange);
    image.types().add_enumerator("maple_arange_64", kArange);
    special = image.builder().allocate(64);
    image.symbols().add("special_mapping_vmops", special);
    mm = image.builder().allocate(256);
    set("map_count", 0);
    kernel = LinuxLayout::bind(image.types()).value();
    tasks.emplace(kernel.task, kernel.signal, image.init_task());
  }

  void set(const char *member, std::uint64_t value) { image.set(mm, "mm_struct", member, value); }

  GuestVirtual area(std::uint64_t start, std::uint64_t end, std::uint64_t flags = kReadWrite) {
    const GuestVirtual made = image.builder().allocate(128);
    const auto put = [&](const char *member, std::uint64_t value) {
      image.set(made, "vm_area_struct", member, value);
    };
    put("vm_start", start);
    put("vm_end", end);
    put("vm_mm", mm.raw());
    put("vm_flags", flags);
    if (!areas.empty()) {
      image.set(areas.back(), "vm_area_struct", "vm_next", made.raw());
    }
    areas.push_back(made);
    set("map_count", areas.size());
    return made;
  }
  void as_list() {
    image.types().remove_member("mm_struct", "mm_mt.ma_root");
    set("mmap", areas.empty() ? 0 : areas.front().raw());
  }

  struct Range {
    std::uint64_t last = 0;
    std::uint64_t value = 0;
  };
  GuestVirtual node(std::uint64_t type, std::uint64_t parent, const std::vector<Range> &ranges) {
    const GuestVirtual made = image.builder().allocate(256, 256);
    image.builder().put(made, parent);
    fill(made, type, ranges);
    return made;
  }
  void fill(GuestVirtual at, std::uint64_t type, const std::vector<Range> &ranges) {
    const std::uint64_t slots = type == kArange ? 80 : 128;
    for (std::size_t index = 0; index < ranges.size(); ++index) {
      if (ranges[index].last != UINT64_MAX) {
        image.builder().put(at.plus_wrapping(8 + index * 8), ranges[index].last);
      }
      image.builder().put(at.plus_wrapping(slots + index * 8), ranges[index].value);
    }
  }
  static std::uint64_t child(GuestVirtual at, std::uint64_t type) {
    return at.raw() | type << 3 | 4;
  }
  /// All areas in leaves of four below one node.
  void as_tree() {
    const std::uint64_t tree = mm.raw() + 72;
    root = node(kArange, tree | 1, {});
    std::vector<Range> below;
    std::uint64_t end = 0;
    for (std::size_t first = 0; first < areas.size(); first += 4) {
      std::vector<Range> ranges;
      const bool is_last = first + 4 >= areas.size();
      for (std::size_t index = first; index < std::min(first + 4, areas.size()); ++index) {
        const auto start = image.get(areas[index], "vm_area_struct", "vm_start");
        if (start != end) {
          ranges.push_back({start - 1, 0});
        }
        end = image.get(areas[index], "vm_area_struct", "vm_end");
        ranges.push_back({end - 1, areas[index].raw()});
      }
      if (is_last) {
        ranges.push_back({UINT64_MAX, 0});
      }
      leaves.push_back(node(kLeaf, root.raw() | below.size() << 3 | 6, ranges));
      below.push_back({is_last ? UINT64_MAX : end - 1, child(leaves.back(), kLeaf)});
    }
    fill(root, kArange, below);
    set("mm_mt.ma_root", root.raw() | kArange << 3 | 2);
  }

  MapsSeen walk(WalkBudget budget = {100'000, 64U << 20}) {
    layout.emplace(MemoryMapLayout::bind(image.types(), image.symbols()).value());
    const AddressSpace space = image.builder().space();
    KernelReader reader(space, budget);
    return MemoryMapWalker(*layout, kernel, *tasks).walk(mm, reader);
  }
  void expect_all() {
    const auto seen = walk();
    EXPECT_TRUE(seen.completeness.complete());
    ASSERT_EQ(seen.maps.size(), areas.size());
    for (std::size_t index = 0; index < areas.size(); ++index) {
      EXPECT_EQ(seen.maps[index].start, image.get(areas[index], "vm_area_struct", "vm_start"));
      EXPECT_EQ(seen.maps[index].end, image.get(areas[index], "vm_area_struct", "vm_end"));
    }
  }
  void expect_incomplete() { EXPECT_FALSE(walk().completeness.complete()); }
  void many(std::size_t count) {
    for (std::uint64_t index = 0; index < count; ++index) {
      area(0x400000 + index * 0x3000, 0x401000 + index * 0x3000);
    }
  }

  LinuxImage image;
  GuestVirtual mm, special, root;
  std::vector<GuestVirtual> areas, leaves;
  LinuxLayout kernel;
  std::optional<TaskList> tasks;
  std::optional<MemoryMapLayout> layout;
};

TEST_F(MapsTest, FollowsTheList) {
  many(50);
  as_list();
  expect_all();
}

TEST_F(MapsTest, FollowsTheTree) {
  many(33);
  as_tree();
  expect_all();
}

TEST_F(MapsTest, AnEmptyTreeAndAnEmptyListAreComplete) {
  expect_all();
  as_list();
  expect_all();
}

TEST_F(MapsTest, NamesWhatTheKernelNames) {
  const GuestVirtual file = image.open_file("/usr/lib/libc.so.6");
  const GuestVirtual inode = image.builder().allocate(64);
  image.set(file, "file", "f_inode", inode.raw());
  image.set(inode, "inode", "i_ino", 4711);
  const GuestVirtual library = area(0x7f0000000000, 0x7f0000002000, kReadExecute | 0x80);
  image.set(library, "vm_area_struct", "vm_file", file.raw());
  image.set(library, "vm_area_struct", "vm_pgoff", 3);
  area(0x7f0000002000, 0x7f0000003000);
  const GuestVirtual named = area(0x7f0000003000, 0x7f0000004000);
  const GuestVirtual name = image.builder().allocate(64);
  image.builder().put_text(name.plus_wrapping(8), "arena");
  image.set(named, "vm_area_struct", "anon_name", name.raw());
  area(0x7f0000005000, 0x7f0000007000);
  set("start_brk", 0x7f0000005000);
  set("brk", 0x7f0000006000);
  area(0x7ffc00000000, 0x7ffc00010000);
  set("start_stack", 0x7ffc0000f000);
  const GuestVirtual vdso = area(0x7ffc00020000, 0x7ffc00021000, kReadExecute);
  const GuestVirtual mapping = image.builder().allocate(64);
  image.builder().put_text(mapping.plus_wrapping(16), "[vdso]");
  image.builder().put(mapping, mapping.raw() + 16);
  image.set(vdso, "vm_area_struct", "vm_ops", special.raw());
  image.set(vdso, "vm_area_struct", "vm_private_data", mapping.raw());
  const GuestVirtual odd = area(0x7ffc00030000, 0x7ffc00031000);
  const GuestVirtual operations = image.builder().allocate(64);
  image.builder().put(operations.plus_wrapping(24), std::uint64_t{0xffffffff81000000});
  image.set(odd, "vm_area_struct", "vm_ops", operations.raw());
  as_tree();

  const auto seen = walk();
  ASSERT_EQ(seen.maps.size(), 7U);
  EXPECT_EQ(seen.maps[0].path, GuestText("/usr/lib/libc.so.6"));
  EXPECT_EQ(seen.maps[0].inode, 4711U);
  EXPECT_EQ(seen.maps[0].offset, 0x3000U);
  EXPECT_TRUE(seen.maps[0].readable && seen.maps[0].executable && seen.maps[0].shared);
  EXPECT_FALSE(seen.maps[0].writable || seen.maps[0].deleted);
  EXPECT_EQ(seen.maps[1].path, GuestText(""));
  EXPECT_EQ(seen.maps[2].path, GuestText("[anon:arena]"));
  EXPECT_EQ(seen.maps[3].path, GuestText("[heap]"));
  EXPECT_EQ(seen.maps[4].path, GuestText("[stack]"));
  EXPECT_EQ(seen.maps[5].path, GuestText("[vdso]"));
  EXPECT_EQ(seen.maps[6].path, std::nullopt) << "the guest's own function would say it";
}

TEST_F(MapsTest, AListThatLeadsBackOrStopsEarlyIsNotComplete) {
  many(10);
  as_list();
  image.set(areas[9], "vm_area_struct", "vm_next", areas[3].raw());
  expect_incomplete();
  image.set(areas[9], "vm_area_struct", "vm_next", areas[9].raw());
  expect_incomplete();
  image.set(areas[9], "vm_area_struct", "vm_next", 0xffff'8880'dead'0000);
  expect_incomplete();
  image.set(areas[9], "vm_area_struct", "vm_next", 0);
  expect_all();
  image.set(areas[4], "vm_area_struct", "vm_next", 0);
  expect_incomplete();
}

TEST_F(MapsTest, AreasOfAnotherProcessOrUpsideDownAreNotTold) {
  many(10);
  as_list();
  image.set(areas[5], "vm_area_struct", "vm_mm", 1);
  expect_incomplete();
  image.set(areas[5], "vm_area_struct", "vm_mm", mm.raw());
  image.set(areas[5], "vm_area_struct", "vm_end", 0);
  expect_incomplete();
}

TEST_F(MapsTest, NodesThatLieAreNotFollowed) {
  many(20);
  as_tree();
  expect_all();
  const auto spoil = [&](GuestVirtual at, std::uint64_t value) {
    const auto before = image.builder().space().read<std::uint64_t>(at).value().any_value();
    image.builder().put(at, value);
    expect_incomplete();
    image.builder().put(at, before);
  };
  spoil(leaves[1], leaves[1].raw());                               // dead: cut off
  spoil(leaves[1], leaves[0].raw() | 6);                           // another's child
  spoil(root, mm.raw());                                           // not of this tree
  spoil(root.plus_wrapping(80 + 8), child(root, kArange));         // a cycle
  spoil(root.plus_wrapping(80 + 8), child(leaves[0], kLeaf));      // the same leaf twice
  spoil(root.plus_wrapping(80 + 8), leaves[1].raw() | 7 << 3 | 4); // no such type
  spoil(root.plus_wrapping(80 + 8), 0);
  spoil(root.plus_wrapping(8 + 8), 1);                     // ranges that go backwards
  spoil(leaves[1].plus_wrapping(8), UINT64_MAX - 1);       // beyond the parent's
  spoil(leaves[1].plus_wrapping(128 + 8), areas[0].raw()); // not what the range says
  spoil(leaves[1].plus_wrapping(128 + 8), 0);              // the kernel counts one more
  expect_all();
}

TEST_F(MapsTest, TheBudgetEndsAWalkAndIsTold) {
  many(30);
  as_tree();
  const auto seen = walk({10, 1U << 20});
  EXPECT_EQ(seen.completeness.reason, PartialReason::BudgetExhausted);
  EXPECT_LT(seen.maps.size(), 30U);
}

TEST_F(MapsTest, AKernelThatLacksSomethingIsTold) {
  image.types().remove_member("vm_area_struct", "vm_pgoff");
  EXPECT_EQ(MemoryMapLayout::bind(image.types(), image.symbols()).error(),
            "vm_area_struct.vm_pgoff");
}

} // namespace
} // namespace outguard::guest
