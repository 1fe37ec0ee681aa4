#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "launch/single_changes.h"

namespace outguard::launch {
namespace {

class SingleChangesTest : public testing::Test {
protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "changesXXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string folder_;
};

TEST_F(SingleChangesTest, WhatIsNotThereOrEmptySaysNothing) {
  EXPECT_TRUE(change_choices(folder_ + "/none").empty());
  std::ofstream(folder_ + "/added").flush();
  EXPECT_TRUE(change_choices(folder_).empty());
  std::ofstream(folder_ + "/removed") << "1.2.3.4\n";
  const auto choices = change_choices(folder_);
  ASSERT_EQ(choices.size(), 1U);
  EXPECT_EQ(choices[0].role, FeedRole::Removals);
}

TEST_F(SingleChangesTest, WhatCannotBeLookedAtIsNotTakenForEmpty) {
  const auto added = change_files(folder_)[0];
  std::filesystem::create_symlink("added", added); // to itself: stat() fails, also for root
  ASSERT_EQ(change_choices(folder_).size(), 1U);
  FeedReport report;
  report.name = added;
  EXPECT_FALSE(says_nothing(report));
}

TEST_F(SingleChangesTest, AFolderOfFeedsNamesAlsoThoseThatCannotBeOpened) {
  std::ofstream(folder_ + "/good.txt") << "1.2.3.4\n";
  std::ofstream(folder_ + "/.hidden") << "1.2.3.4\n";
  std::filesystem::create_directory(folder_ + "/below");
  std::filesystem::create_symlink("gone", folder_ + "/link.txt");
  FeedChoice choice;
  choice.path = folder_;
  EXPECT_EQ(expand(choice).value(),
            (std::vector<std::string>{folder_ + "/good.txt", folder_ + "/link.txt"}));
}

} // namespace
} // namespace outguard::launch
