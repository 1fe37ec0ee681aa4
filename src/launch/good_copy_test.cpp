#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "launch/good_copy.h"
#include "launch/state_file.h"

namespace outguard::launch {
namespace {

class GoodCopyTest : public testing::Test {
protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "goodXXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    path_ = folder_ + "/a.feed";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string folder_, path_;
};

TEST_F(GoodCopyTest, ARefusedCopyDoesNotTakeTheGoodOneAway) {
  EXPECT_FALSE(mark_of(path_));
  ASSERT_TRUE(replace_file(path_, "whole"));
  EXPECT_FALSE(good_copy_of(path_)); // never in force
  ASSERT_TRUE(keep_good(mark_of(path_).value()));
  EXPECT_FALSE(good_copy_of(path_)); // it is that one
  ASSERT_TRUE(replace_file(path_, "less"));
  const auto good = good_copy_of(path_);
  ASSERT_TRUE(good);
  EXPECT_EQ(read_small_file(*good, 100).value(), "whole");
  std::filesystem::remove(path_);
  EXPECT_EQ(good_copy_of(path_), good);
  // The good one in force again changes nothing.
  ASSERT_TRUE(keep_good(mark_of(*good).value()));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(GoodCopyTest, WhatTookItsPlaceMeanwhileIsNotGood) {
  ASSERT_TRUE(replace_file(path_, "whole"));
  ASSERT_TRUE(keep_good(mark_of(path_).value()));
  ASSERT_TRUE(replace_file(path_, "newer"));
  const auto mark = mark_of(path_).value();
  ASSERT_TRUE(replace_file(path_, "not judged yet"));
  ASSERT_TRUE(keep_good(mark));
  EXPECT_EQ(read_small_file(*good_copy_of(path_), 100).value(), "whole");
  ASSERT_TRUE(keep_good(mark_of(path_).value()));
  EXPECT_FALSE(good_copy_of(path_));
  std::filesystem::remove(path_);
  EXPECT_FALSE(keep_good({path_, 1}));
}

} // namespace
} // namespace outguard::launch
