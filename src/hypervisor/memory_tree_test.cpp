#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "facts/memory_layout.h"
#include "hypervisor/memory_tree.h"

namespace outguard::hypervisor {
namespace {

std::string line(std::uint64_t first, std::uint64_t last, const std::string &rest) {
  return fmt::format("  {:016x}-{:016x} (prio 0, {}\n", first, last, rest);
}

/// QEMU's text of a q35 with RAM below and above 4 GiB; `system` stands in the CPUs' view.
std::string tree(const std::string &system) {
  return "FlatView #0\n AS \"I/O\", root: io\n Root memory region: io\n" +
         line(0, 7, "i/o): dma-chan") + "\nFlatView #1\n AS \"cpu-memory-0\", root: system\n" +
         " AS \"memory\", root: system\n Root memory region: system\n" + system +
         "\nFlatView #2\n AS \"cpu-smm-0\", root: memory\n Root memory region: memory\n" +
         line(0xa0000, 0xbffff, "ram): smram") + "\n";
}

TEST(MemoryTree, TakesTheCpusViewAndMergesWhatContinues) {
  const auto ranges = parse_memory_tree(
      tree(line(0, 0x9ffff, "ram): pc.ram KVM") + line(0xa0000, 0xbffff, "i/o): vga") +
           line(0xe0000, 0xfffff, "rom): pc.bios @0000000000020000") +
           line(0x100000, 0x1fffff, "ram): pc.ram @0000000000100000 KVM") +
           line(0x200000, 0x7fffffff, "ram): pc.ram @0000000000200000 KVM") +
           line(0xd0000000, 0xd0000fff, "ramd): 0000:01:00.0 BAR 1") +
           line(0xfffc0000, 0xffffffff, "romd): flash @0000000000000000") +
           line(0x100000000, 0x1bfffffff, "nv-ram): pc.ram @0000000080000000")));
  ASSERT_TRUE(ranges) << ranges.error().message;
  ASSERT_EQ(ranges->size(), 5U);
  EXPECT_EQ(ranges->at(0).length, 0xa0000U);
  EXPECT_TRUE(ranges->at(0).writable);
  EXPECT_FALSE(ranges->at(1).writable);
  EXPECT_EQ(ranges->at(1).block_offset, 0x20000U);
  EXPECT_EQ(ranges->at(2).start, 0x100000U); // two lines, one block without a hole
  EXPECT_EQ(ranges->at(2).length, 0x7ff00000U);
  EXPECT_EQ(ranges->at(2).block, "pc.ram");
  EXPECT_FALSE(ranges->at(3).writable);
  EXPECT_EQ(ranges->at(4).start, 0x100000000U);
  EXPECT_EQ(ranges->at(4).length, 0xc0000000U);
  EXPECT_TRUE(ranges->at(4).writable);
}

TEST(MemoryTree, ABlocksNameMayLookLikeAnOffset) {
  const auto ranges = parse_memory_tree(tree(line(0, 0xfff, "ram): a @b @0000000000001000")));
  ASSERT_TRUE(ranges);
  EXPECT_EQ(ranges->front().block, "a @b");
  EXPECT_EQ(ranges->front().block_offset, 0x1000U);
}

TEST(MemoryTree, RefusesWhatCannotBe) {
  EXPECT_EQ(parse_memory_tree("").error().code, ErrorCode::InvalidInput);
  EXPECT_EQ(parse_memory_tree(tree("")).error().code, ErrorCode::InvalidInput);
  EXPECT_EQ(parse_memory_tree(tree(line(0, 0x1fff, "ram): a") + line(0x1000, 0x2fff, "ram): b")))
                .error()
                .code,
            ErrorCode::InvalidInput);
  EXPECT_FALSE(parse_memory_tree(tree(line(0x1000, 0xfff, "ram): backwards"))));
  EXPECT_FALSE(parse_memory_tree(tree(line(0, ~0ULL, "ram): everything"))));
}

TEST(MemoryTree, CapsTheNumberOfRanges) {
  std::string many;
  for (std::uint64_t i = 0; i <= kMaxMemoryRegions; ++i) {
    many += line(i * 0x2000, i * 0x2000 + 0xfff, "ram): x");
  }
  EXPECT_EQ(parse_memory_tree(tree(many)).error().code, ErrorCode::LimitReached);
}

TEST(HostAddress, ReadsQemusSentence) {
  EXPECT_EQ(parse_host_address("Host virtual address for 0x0 (pc.ram) is 0x7fae3fe00000\r\n"),
            0x7fae3fe00000U);
  EXPECT_FALSE(parse_host_address("No memory is mapped at address 0x900000000\r\n"));
  EXPECT_FALSE(parse_host_address("Host virtual address for 0x0 (pc.ram) is 0x"));
  EXPECT_FALSE(parse_host_address("Host virtual address for 0x0 (pc.ram) is 0x12zz"));
  EXPECT_FALSE(parse_host_address(""));
}

} // namespace
} // namespace outguard::hypervisor
