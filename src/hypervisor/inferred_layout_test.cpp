#include <array>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hypervisor/inferred_layout.h"

namespace outguard::hypervisor {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kGiB = 1 << 30;
constexpr std::uint64_t kAt = 0x7f00'0000'0000;

HostMapping data(std::uint64_t start, std::uint64_t length) {
  return {.start = start, .end = start + length, .device = "00:00", .plain_data = true};
}

QemuCommandLine machine(const std::string &type, std::uint64_t ram) {
  QemuCommandLine line;
  line.machine = type;
  line.memory_bytes = ram;
  return line;
}

/// Guest start, length, distance of the address in QEMU to the RAM's.
using Region = std::array<std::uint64_t, 3>;
std::vector<Region> regions(const QemuCommandLine &line) {
  const std::vector<HostMapping> mappings{data(0x1000, kMiB), data(kAt, *line.memory_bytes)};
  const auto layout = infer_layout(line, mappings);
  EXPECT_TRUE(layout) << layout.error().message;
  std::vector<Region> seen;
  for (const auto &region : layout->regions) {
    EXPECT_EQ(region.file_index, -1);
    seen.push_back({region.guest_start, region.length, region.host_address - kAt});
  }
  return seen;
}

std::vector<Region> split_at(std::uint64_t low, std::uint64_t ram) {
  std::vector<Region> expected{{0, 0xa'0000, 0}, {0xc'0000, low - 0xc'0000, 0xc'0000}};
  if (ram > low) {
    expected.push_back({4 * kGiB, ram - low, low});
  }
  return expected;
}

TEST(InferredLayout, SplitsRamWhereTheMachineTypeDoes) {
  // QEMU 7.2's own `info mtree -f`, machine by machine.
  for (const char *type : {"", "pc", "pc-i440fx-7.2"}) {
    EXPECT_EQ(regions(machine(type, 512 * kMiB)), split_at(512 * kMiB, 512 * kMiB)) << type;
    EXPECT_EQ(regions(machine(type, 3583 * kMiB)), split_at(3583 * kMiB, 3583 * kMiB)) << type;
    EXPECT_EQ(regions(machine(type, 3584 * kMiB)), split_at(3 * kGiB, 3584 * kMiB)) << type;
    EXPECT_EQ(regions(machine(type, 64 * kGiB)), split_at(3 * kGiB, 64 * kGiB)) << type;
  }
  for (const char *type : {"q35", "pc-q35-8.2"}) {
    EXPECT_EQ(regions(machine(type, 2815 * kMiB)), split_at(2815 * kMiB, 2815 * kMiB)) << type;
    EXPECT_EQ(regions(machine(type, 2816 * kMiB)), split_at(2 * kGiB, 2816 * kMiB)) << type;
    EXPECT_EQ(regions(machine(type, 5 * kGiB)), split_at(2 * kGiB, 5 * kGiB)) << type;
  }
}

TEST(InferredLayout, FollowsALowerLimit) {
  auto line = machine("pc", 4 * kGiB);
  line.most_ram_below_4g = kGiB;
  EXPECT_EQ(regions(line), split_at(kGiB, 4 * kGiB));
  line = machine("q35", 4 * kGiB);
  line.most_ram_below_4g = kGiB;
  EXPECT_EQ(regions(line), split_at(kGiB, 4 * kGiB));
  line.most_ram_below_4g = 4 * kGiB;
  EXPECT_EQ(regions(line), split_at(2 * kGiB, 4 * kGiB));
}

TEST(InferredLayout, RamIsTheOneRunOfItsSize) {
  const auto line = machine("pc", 64 * kMiB);
  // Split by advice for a part of it.
  std::vector<HostMapping> mappings{data(kAt, 16 * kMiB), data(kAt + 16 * kMiB, 48 * kMiB)};
  ASSERT_TRUE(infer_layout(line, mappings));
  EXPECT_EQ(infer_layout(line, mappings)->regions[0].host_address, kAt);
  // Beside it something else.
  mappings.insert(mappings.begin(), data(kAt - kMiB, kMiB));
  mappings.push_back(data(kAt + 64 * kMiB, kMiB));
  ASSERT_TRUE(infer_layout(line, mappings));
  EXPECT_EQ(infer_layout(line, mappings)->regions[0].host_address, kAt);
  // A file's mapping does not continue the one before; a translation buffer is executable.
  mappings[1].inode = 7;
  EXPECT_THAT(infer_layout(line, mappings).error().message, HasSubstr("0 mappings"));
  mappings[1].inode = 0;
  mappings.push_back(data(2 * kAt, 64 * kMiB));
  mappings.back().plain_data = false;
  EXPECT_TRUE(infer_layout(line, mappings));
  mappings.back().plain_data = true; // one whole mapping rather than joined ones; of two, none
  ASSERT_TRUE(infer_layout(line, mappings));
  EXPECT_EQ(infer_layout(line, mappings)->regions[0].host_address, 2 * kAt);
  mappings.push_back(data(3 * kAt, 64 * kMiB));
  EXPECT_THAT(infer_layout(line, mappings).error().message, HasSubstr("2 mappings"));
}

TEST(InferredLayout, RefusesWhatItDoesNotKnow) {
  const std::vector<HostMapping> mappings{data(kAt, 64 * kMiB)};
  for (const char *type : {"microvm", "isapc", "xenpv", "virt", "pc\n"}) {
    EXPECT_EQ(infer_layout(machine(type, 64 * kMiB), mappings).error().code,
              ErrorCode::Unsupported);
  }
  auto line = machine("pc", 64 * kMiB);
  line.numa_backends = 2;
  EXPECT_EQ(infer_layout(line, mappings).error().code, ErrorCode::Unsupported);
}

} // namespace
} // namespace outguard::hypervisor
