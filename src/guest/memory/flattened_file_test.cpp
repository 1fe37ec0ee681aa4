#include <algorithm>
#include <random>
#include <string_view>

#include <gtest/gtest.h>

#include "guest/memory/flattened_file.h"
#include "guest/testing/elf_core_builder.h"
#include "guest/testing/kdump_builder.h"

namespace outguard::guest {
namespace {

Opened<std::unique_ptr<FileBytes>> open(std::span<const std::uint8_t> flat) {
  auto file = PlainFile::open(file_of(flat));
  EXPECT_TRUE(file);
  EXPECT_TRUE(FlattenedFile::is_flattened(**file));
  return FlattenedFile::open(std::move(*file));
}

void expect_refused(std::span<const std::uint8_t> flat, std::string_view reason) {
  const auto opened = open(flat);
  ASSERT_FALSE(opened);
  EXPECT_NE(std::string_view(opened.error().reason).find(reason), std::string_view::npos)
      << opened.error().reason;
}

/// What `makedumpfile -R` makes of it.
std::vector<std::uint8_t> rearrange(const std::vector<FlatRecord> &records) {
  std::vector<std::uint8_t> file;
  for (const auto &record : records) {
    if (record.bytes.empty()) {
      continue;
    }
    file.resize(std::max<std::size_t>(file.size(), record.offset + record.bytes.size()));
    std::copy(record.bytes.begin(), record.bytes.end(),
              file.begin() + static_cast<std::ptrdiff_t>(record.offset));
  }
  return file;
}

TEST(FlattenedFile, LaterRecordsWinAndHolesAreZero) {
  std::mt19937 random(1);
  const auto below = [&random](std::uint32_t end) { return random() % end; };
  for (int round = 0; round < 300; ++round) {
    std::vector<FlatRecord> records(1 + below(12));
    for (auto &record : records) {
      record.offset = below(200);
      record.bytes.resize(below(60));
      std::ranges::generate(record.bytes, [&] { return static_cast<std::uint8_t>(random()); });
    }
    const auto expected = rearrange(records);
    const auto file = open(flatten(records));
    ASSERT_TRUE(file) << file.error().reason;
    ASSERT_EQ((*file)->size(), expected.size());
    std::vector<std::uint8_t> seen(expected.size());
    ASSERT_TRUE((*file)->read(0, seen));
    ASSERT_EQ(seen, expected) << round;
    if (!expected.empty()) { // a part of it
      const std::size_t start = below(static_cast<std::uint32_t>(expected.size()));
      const std::size_t length = below(static_cast<std::uint32_t>(expected.size() - start + 1));
      seen.resize(length);
      ASSERT_TRUE((*file)->read(start, seen));
      EXPECT_TRUE(std::equal(seen.begin(), seen.end(),
                             expected.begin() + static_cast<std::ptrdiff_t>(start)));
    }
    EXPECT_FALSE((*file)->read(expected.size(), std::span(seen.data(), 1)));
  }
}

TEST(FlattenedFile, RefusesWhatIsCutOrLies) {
  const std::vector<FlatRecord> records{{0, {1, 2, 3}}, {7, {4}}};
  expect_refused(flatten(records, false), "end mark");
  auto flat = flatten(records);
  flat.resize(4096 + 16 + 2);
  expect_refused(flat, "past the end");
  flat = flatten(records);
  flat[4096] = 0x7f; // the first offset
  expect_refused(flat, "past the end");
  flat = flatten(records);
  flat[4096 + 8] = 0x7f; // the first length
  expect_refused(flat, "past the end");
  flat = flatten(records);
  flat[23] = 2;
  expect_refused(flat, "unknown type");
  flat = flatten(records);
  flat[31] = 2;
  expect_refused(flat, "unknown type");
}

} // namespace
} // namespace outguard::guest
