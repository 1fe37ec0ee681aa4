#include <filesystem>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>
#include <unistd.h>

#include "store/intel_changes.h"

namespace outguard::store {
namespace {

using List = IntelChanges::List;

class Changes : public ::testing::Test {
protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "changes.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name + "/below/intel";
  }
  void TearDown() override {
    std::filesystem::remove_all(std::filesystem::path(folder_).parent_path().parent_path());
  }
  [[nodiscard]] std::vector<std::string> values(List list) const {
    std::vector<std::string> found;
    const auto changes = IntelChanges::open(folder_);
    const auto entries = changes ? changes->read(list) : tl::unexpected(changes.error());
    for (const auto &entry : entries.value()) {
      found.push_back(entry.value);
    }
    return found;
  }
  using Values = std::vector<std::string>;
  std::string folder_;
};

TEST_F(Changes, WhatIsAddedIsNoLongerRemovedAndTheOtherWayRound) {
  auto changes = IntelChanges::open(folder_);
  ASSERT_TRUE(changes) << changes.error().message;
  EXPECT_EQ(changes->put(List::Added, {"a.com", "b.com", "a.com"}), 2U);
  EXPECT_EQ(changes->put(List::Added, {"b.com"}), 0U);
  EXPECT_EQ(changes->put(List::Removed, {"a.com", "c.com"}), 2U);
  *changes = IntelChanges::open(folder_ + "/../elsewhere").value(); // lets the lock go
  EXPECT_EQ(values(List::Added), Values{"b.com"});
  EXPECT_EQ(values(List::Removed), (Values{"a.com", "c.com"}));
}

TEST_F(Changes, KeepsWhatPeopleWrote) {
  std::filesystem::create_directories(folder_);
  std::ofstream(folder_ + "/added") << "# ours\n\n  1.2.3.4 # C2 of case 7\nold.com";
  EXPECT_EQ(IntelChanges::open(folder_)->put(List::Added, {"1.2.3.4", "new.com"}), 1U);
  const auto changes = IntelChanges::open(folder_);
  ASSERT_TRUE(changes);
  const auto entries = changes->read(List::Added).value();
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].note, "C2 of case 7");
  EXPECT_EQ(entries[2].value, "new.com");
  std::string first;
  std::ifstream file(folder_ + "/added");
  std::getline(file, first);
  EXPECT_EQ(first, "# ours");
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/added.new"));
}

TEST_F(Changes, WritersAtOnceLoseNothing) {
  constexpr int kEach = 20;
  const auto write = [&](const std::string &prefix) {
    for (int i = 0; i < kEach; ++i) {
      EXPECT_EQ(
          IntelChanges::open(folder_)->put(List::Added, {prefix + std::to_string(i) + ".com"}), 1U);
    }
  };
  std::thread other(write, "a");
  write("b");
  other.join();
  EXPECT_EQ(values(List::Added).size(), 2U * kEach);
}

TEST_F(Changes, RefusesALinkAndAFolderThatIsNone) {
  std::filesystem::create_directories(folder_);
  std::ofstream(folder_ + "/secret") << "x.com\n";
  std::filesystem::create_symlink("secret", folder_ + "/added");
  EXPECT_FALSE(IntelChanges::open(folder_)->put(List::Added, {"a.com"}));
  EXPECT_FALSE(IntelChanges::open(folder_ + "/secret"));
}

} // namespace
} // namespace outguard::store
