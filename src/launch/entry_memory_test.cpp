#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "launch/entry_memory.h"

namespace outguard::launch {
namespace {

class EntryMemoryTest : public testing::Test {
protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "memoryXXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string folder_;
};

const ShrinkGuard::Entries kEntries{{"a b.txt", 1000}, {"partner", 0}, {"z\x1b", 18}};

TEST_F(EntryMemoryTest, WhatIsWrittenIsRead) {
  const EntryMemory memory(folder_ + "/state");
  EXPECT_EQ(memory.read().value(), ShrinkGuard::Entries());
  ASSERT_TRUE(memory.write(kEntries));
  EXPECT_EQ(memory.read().value(), kEntries);
  ASSERT_TRUE(memory.write({}));
  EXPECT_EQ(memory.read().value(), ShrinkGuard::Entries());
  struct stat about {};
  ASSERT_EQ(::stat((folder_ + "/state").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0700U);
  ASSERT_TRUE(memory.write({{"a\nb", 7}}));
  EXPECT_EQ(memory.read().value(), ShrinkGuard::Entries());
}

TEST_F(EntryMemoryTest, WhatIsTheSameIsNotWritten) {
  const EntryMemory memory(folder_);
  ASSERT_TRUE(memory.write(kEntries));
  struct stat first {
  }, second{};
  ASSERT_EQ(::stat(memory.path().c_str(), &first), 0);
  ASSERT_TRUE(memory.write(kEntries));
  ASSERT_EQ(::stat(memory.path().c_str(), &second), 0);
  EXPECT_EQ(first.st_ino, second.st_ino);
}

TEST_F(EntryMemoryTest, WhatCannotBeReadIsAnErrorAndNotAFirstRun) {
  const EntryMemory memory(folder_);
  std::filesystem::create_directory(memory.path());
  EXPECT_FALSE(memory.read());
  std::filesystem::remove(memory.path());
  std::ofstream(memory.path()) << std::string((8U << 20) + 1, 'x');
  EXPECT_FALSE(memory.read());
}

TEST_F(EntryMemoryTest, ADamagedFileIsAnError) {
  const EntryMemory memory(folder_);
  ASSERT_TRUE(memory.write(kEntries));
  const auto size = std::filesystem::file_size(memory.path());
  for (std::uintmax_t length = 0; length < size; ++length) {
    ASSERT_TRUE(memory.write({}));
    ASSERT_TRUE(memory.write(kEntries));
    std::filesystem::resize_file(memory.path(), length);
    EXPECT_FALSE(memory.read()) << length;
  }
  for (const auto *line : {"x name", "12", "12 ", "-1 a", "99999999999999999999 a"}) {
    std::ofstream(memory.path()) << "outguard-in-force-1\n" << line << "\nend\n";
    EXPECT_FALSE(memory.read()) << line;
  }
}

} // namespace
} // namespace outguard::launch
