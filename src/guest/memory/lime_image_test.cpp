#include <string_view>

#include <gtest/gtest.h>

#include "guest/memory/dump_file_memory.h"
#include "guest/testing/elf_core_builder.h"
#include "guest/testing/lime_builder.h"

namespace outguard::guest {
namespace {

std::vector<std::uint8_t> bytes_of(std::uint8_t value, std::size_t length) {
  std::vector<std::uint8_t> bytes;
  bytes.assign(length, value);
  return bytes;
}

LimeBuilder two_ranges() {
  LimeBuilder lime;
  lime.add_memory(0x10'0000, bytes_of(2, 0x1000));
  lime.add_memory(0x1000, bytes_of(1, 0x9f000 - 0x400)); // ends within a page, as at the EBDA
  return lime;
}

void expect_refused(const std::vector<std::uint8_t> &bytes, std::string_view reason,
                    std::uint64_t offset) {
  const auto opened = DumpFileMemory::open(file_of(bytes));
  ASSERT_FALSE(opened) << reason;
  EXPECT_NE(std::string_view(opened.error().reason).find(reason), std::string_view::npos)
      << opened.error().reason;
  EXPECT_EQ(opened.error().offset, offset) << reason;
}

TEST(LimeImage, RangesInAnyOrderGoToTheirAddresses) {
  const auto memory = DumpFileMemory::open(file_of(two_ranges().build()));
  ASSERT_TRUE(memory) << memory.error().reason;
  ASSERT_EQ((*memory)->ranges().size(), 2U);
  EXPECT_EQ((*memory)->ranges()[0].start.raw(), 0x1000U);
  EXPECT_EQ((*memory)->ranges()[0].length, 0x9f000U - 0x400U);
  EXPECT_EQ((*memory)->ranges()[1].start.raw(), 0x10'0000U);
  const auto at = [&](std::uint64_t address) {
    return (*memory)->read<std::uint8_t>(GuestPhysical(address));
  };
  EXPECT_EQ(at(0x10'0000)->any_value(), 2);
  EXPECT_EQ(at(0x1000)->any_value(), 1);
  EXPECT_EQ(at(0xa0000 - 0x401)->any_value(), 1); // the end is inclusive
  EXPECT_EQ(at(0xa0000 - 0x400).error().code, FaultCode::Unmapped);
  EXPECT_EQ(at(0).error().code, FaultCode::Unmapped);
}

TEST(LimeImage, ATruncatedImageIsRefusedAtTheRangeThatIsCut) {
  auto bytes = two_ranges().build();
  bytes.pop_back();
  expect_refused(bytes, "truncated", 32 + 0x1000);
  bytes.resize(32 + 0x1000 + 31); // within a header
  expect_refused(bytes, "truncated", 32 + 0x1000);
}

TEST(LimeImage, RefusesWhatNoWriterWrites) {
  auto lime = two_ranges();
  lime.headers[1].magic = 0;
  expect_refused(lime.build(), "something else", 32 + 0x1000);
  lime = two_ranges();
  lime.headers[0].version = 2;
  expect_refused(lime.build(), "another version", 0);
  lime = two_ranges();
  lime.headers[0].last = lime.headers[0].first - 1;
  expect_refused(lime.build(), "before it begins", 0);
  lime = two_ranges();
  lime.headers[0].first = 0;
  lime.headers[0].last = UINT64_MAX;
  expect_refused(lime.build(), "before it begins", 0);
  lime = two_ranges();
  lime.headers[0].first = 0xa0000 - 0x401; // the other range's last byte
  lime.headers[0].last = lime.headers[0].first + 0xfff;
  expect_refused(lime.build(), "overlap", 32);
}

} // namespace
} // namespace outguard::guest
