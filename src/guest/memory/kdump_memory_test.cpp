#include <algorithm>
#include <string_view>

#include <gtest/gtest.h>
#include <unistd.h>

#include "guest/memory/dump_file_memory.h"
#include "guest/testing/elf_core_builder.h"
#include "guest/testing/kdump_builder.h"

namespace outguard::guest {
namespace {

constexpr std::size_t kPage = KdumpBuilder::kPageBytes;
constexpr PageCompression kAll[] = {PageCompression::None, PageCompression::Zlib,
                                    PageCompression::Lzo, PageCompression::Snappy,
                                    PageCompression::Zstd};

/// Pages that compress and differ from each other.
std::vector<std::uint8_t> pages_of(std::uint8_t first, std::size_t count = 1) {
  std::vector<std::uint8_t> bytes(count * kPage);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(first + i / kPage + i % 7);
  }
  return bytes;
}

std::unique_ptr<DumpFileMemory> open(const std::vector<std::uint8_t> &bytes) {
  auto memory = DumpFileMemory::open(file_of(bytes));
  EXPECT_TRUE(memory) << memory.error().reason;
  return memory ? std::move(*memory) : nullptr;
}

void expect_content(MemoryReader &memory, std::uint64_t address,
                    const std::vector<std::uint8_t> &expected) {
  std::vector<std::uint8_t> seen(expected.size());
  ASSERT_TRUE(memory.read(GuestPhysical(address), seen)) << address;
  EXPECT_TRUE(seen == expected) << address;
}

void expect_refused(const std::vector<std::uint8_t> &bytes, std::string_view reason) {
  const auto opened = DumpFileMemory::open(file_of(bytes));
  ASSERT_FALSE(opened) << reason;
  EXPECT_NE(std::string_view(opened.error().reason).find(reason), std::string_view::npos)
      << opened.error().reason;
}

FaultCode fault_at(MemoryReader &memory, std::uint64_t address) {
  const auto read = memory.read<std::uint8_t>(GuestPhysical(address));
  return read ? FaultCode::NotFound : read.error().code; // NotFound: it could be read
}

TEST(KdumpMemory, ReadsEveryCompressionAcrossPagesAndHoles) {
  KdumpBuilder kdump;
  std::uint64_t at = 0;
  for (const auto compression : kAll) {
    kdump.add_memory(at, pages_of(static_cast<std::uint8_t>(at >> 16), 3), compression);
    at += 0x10'0000;
  }
  const auto memory = open(kdump.build());
  ASSERT_NE(memory, nullptr);
  ASSERT_EQ(memory->ranges().size(), 5U);
  for (std::uint64_t start = 0; start < at; start += 0x10'0000) {
    expect_content(*memory, start, pages_of(static_cast<std::uint8_t>(start >> 16), 3));
    EXPECT_EQ(fault_at(*memory, start + 3 * kPage), FaultCode::Unmapped);
  }
}

TEST(KdumpMemory, PagesAreFoundByTheirRankFarUpToo) {
  KdumpBuilder kdump; // runs that begin and end inside words and sums of the bitmap
  for (std::uint64_t run = 0; run < 300; ++run) {
    kdump.add_memory(run * 37 * kPage, pages_of(static_cast<std::uint8_t>(run), 5),
                     PageCompression::Zlib);
  }
  const auto memory = open(kdump.build());
  ASSERT_NE(memory, nullptr);
  ASSERT_EQ(memory->ranges().size(), 300U);
  for (std::uint64_t run = 300; run-- > 0;) {
    expect_content(*memory, run * 37 * kPage, pages_of(static_cast<std::uint8_t>(run), 5));
    EXPECT_EQ(fault_at(*memory, (run * 37 + 5) * kPage), FaultCode::Unmapped);
  }
}

TEST(KdumpMemory, MorePagesThanAreKeptAreReadAgain) {
  KdumpBuilder kdump; // six pages that share one set of four
  for (std::uint64_t i = 0; i < 6; ++i) {
    kdump.add_memory(i * 4096 * kPage, pages_of(static_cast<std::uint8_t>(10 * i)),
                     PageCompression::Lzo);
  }
  const auto memory = open(kdump.build());
  ASSERT_NE(memory, nullptr);
  for (int round = 0; round < 3; ++round) {
    for (std::uint64_t i = 0; i < 6; ++i) {
      expect_content(*memory, i * 4096 * kPage, pages_of(static_cast<std::uint8_t>(10 * i)));
    }
  }
}

TEST(KdumpMemory, APageLeftOutIsZeroOnlyWhereTheLevelProvesIt) {
  KdumpBuilder kdump;
  kdump.add_memory(0, pages_of(1, 2), PageCompression::Zstd);
  kdump.leave_out(0x2000);
  kdump.add_memory(0x3000, pages_of(4), PageCompression::Zstd);
  kdump.dump_level = 1;
  auto memory = open(kdump.build());
  ASSERT_NE(memory, nullptr);
  EXPECT_EQ(memory->ranges().size(), 1U);
  expect_content(*memory, 0x2000, std::vector<std::uint8_t>(kPage));
  expect_content(*memory, 0x3000, pages_of(4));
  for (const std::uint32_t level : {0U, 31U, 30U}) {
    kdump.dump_level = level;
    memory = open(kdump.build());
    ASSERT_NE(memory, nullptr);
    EXPECT_EQ(memory->ranges().size(), 2U) << level;
    EXPECT_EQ(fault_at(*memory, 0x2000), FaultCode::Unmapped) << level;
    expect_content(*memory, 0x3000, pages_of(4));
  }
}

TEST(KdumpMemory, ZeroesStoredOnceAreZeroEverywhere) {
  KdumpBuilder kdump;
  kdump.add_memory(0, std::vector<std::uint8_t>(kPage), PageCompression::Zlib);
  kdump.add_memory(kPage, pages_of(3), PageCompression::Zlib);
  kdump.add_memory(2 * kPage, pages_of(4), PageCompression::Zlib);
  const std::uint64_t data = 4 * kPage + 3 * sizeof(KdumpBuilder::Descriptor);
  const auto bytes = kdump.build();
  KdumpBuilder::Descriptor zero{};
  std::copy_n(bytes.begin() + 4 * kPage, sizeof zero, reinterpret_cast<std::uint8_t *>(&zero));
  ASSERT_EQ(zero.offset, data);
  kdump.spoiled[2] = zero;
  const auto memory = open(kdump.build());
  ASSERT_NE(memory, nullptr);
  expect_content(*memory, 0, std::vector<std::uint8_t>(kPage));
  expect_content(*memory, kPage, pages_of(3));
  expect_content(*memory, 2 * kPage, std::vector<std::uint8_t>(kPage));
}

TEST(KdumpMemory, ReadsTheRegistersInItsNotes) {
  ElfCoreBuilder core;
  core.add_cpu(0x800'a000, 0x16b0, 0xffff'fe00'0000'0000);
  KdumpBuilder kdump;
  kdump.add_memory(0, pages_of(1), PageCompression::Snappy);
  kdump.notes = core.notes;
  const auto memory = open(kdump.build());
  ASSERT_NE(memory, nullptr);
  ASSERT_EQ(memory->registers().size(), 1U);
  EXPECT_EQ(memory->registers()[0].cr3, 0x800'a000U);
  kdump.version = 3; // has no place for notes
  EXPECT_TRUE(open(kdump.build())->registers().empty());
}

TEST(KdumpMemory, ADamagedPageIsMalformedAndNoOtherIs) {
  KdumpBuilder whole;
  for (std::size_t i = 0; i < std::size(kAll); ++i) {
    whole.add_memory(i * kPage, pages_of(static_cast<std::uint8_t>(i)), kAll[i]);
  }
  const auto whole_bytes = whole.build();
  for (std::uint64_t page = 0; page < std::size(kAll); ++page) {
    KdumpBuilder::Descriptor good{};
    std::copy_n(whole_bytes.begin() + static_cast<std::ptrdiff_t>(4 * kPage + page * sizeof good),
                sizeof good, reinterpret_cast<std::uint8_t *>(&good));
    auto cut = good;
    --cut.size;
    auto huge = good;
    huge.size = UINT32_MAX;
    auto far = good;
    far.offset = UINT64_MAX - 10;
    auto unknown = good;
    unknown.flags = 0x10;
    auto two = good;
    two.flags = 3;
    auto nothing = good;
    nothing.size = 0;
    for (const auto &bad : {cut, huge, far, unknown, two, nothing}) {
      auto kdump = whole;
      kdump.spoiled[page] = bad;
      const auto memory = open(kdump.build());
      ASSERT_NE(memory, nullptr);
      EXPECT_EQ(fault_at(*memory, page * kPage), FaultCode::Malformed) << page;
      EXPECT_EQ(fault_at(*memory, page * kPage), FaultCode::Malformed) << "the second time";
      const std::uint64_t other = (page + 1) % std::size(kAll);
      expect_content(*memory, other * kPage, pages_of(static_cast<std::uint8_t>(other)));
    }
  }
}

TEST(KdumpMemory, RefusesHeadersThatLie) {
  KdumpBuilder good;
  good.add_memory(0, pages_of(1), PageCompression::Zlib);
  auto bad = good;
  bad.version = 7;
  expect_refused(bad.build(), "another version");
  bad = good;
  bad.version = 0;
  expect_refused(bad.build(), "another version");
  bad = good;
  bad.block_size = 16384;
  expect_refused(bad.build(), "page size");
  bad = good;
  bad.machine = "aarch64";
  expect_refused(bad.build(), "another machine");
  bad = good;
  bad.status = 9;
  expect_refused(bad.build(), "incomplete");
  bad = good;
  bad.split = 1;
  expect_refused(bad.build(), "--reassemble");
  bad = good;
  bad.bitmap_blocks = 0;
  expect_refused(bad.build(), "bitmap is too short");
  bad = good;
  bad.bitmap_blocks = UINT32_MAX;
  expect_refused(bad.build(), "truncated");
  bad = KdumpBuilder();
  expect_refused(bad.build(), "without memory");
  auto bytes = good.build();
  const std::uint64_t pages = (std::uint64_t{1} << 30) + 1;
  std::copy_n(reinterpret_cast<const std::uint8_t *>(&pages), 8, bytes.begin() + kPage + 96);
  expect_refused(bytes, "4 TiB");
}

TEST(KdumpMemory, TruncationIsNamedOrMalformedNeverRead) {
  KdumpBuilder kdump;
  kdump.add_memory(0, pages_of(1, 2), PageCompression::Zlib);
  const auto whole = kdump.build();
  const std::size_t pages_begin = 4 * kPage + std::size_t{2} * 24;
  for (std::size_t length = 16; length < pages_begin; length += 101) {
    expect_refused({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)},
                   "truncated");
  }
  const auto memory = open({whole.begin(), whole.end() - 1});
  ASSERT_NE(memory, nullptr);
  expect_content(*memory, 0, pages_of(1));
  EXPECT_EQ(fault_at(*memory, kPage), FaultCode::Malformed);
}

TEST(KdumpMemory, FlattenedIsTheSame) {
  KdumpBuilder kdump;
  kdump.add_memory(0x5000, pages_of(1, 9), PageCompression::Zlib);
  const auto memory = open(flatten(kdump.build(), 1000));
  ASSERT_NE(memory, nullptr);
  expect_content(*memory, 0x5000, pages_of(1, 9));
}

} // namespace
} // namespace outguard::guest
