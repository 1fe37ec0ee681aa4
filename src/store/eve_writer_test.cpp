#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "store/eve_writer.h"

namespace outguard::store {
namespace {

class EveWriterTest : public testing::Test {
protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "eve-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/eve.json";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static std::vector<std::string> lines(const std::string &path) {
    std::ifstream file(path);
    std::vector<std::string> out;
    for (std::string line; std::getline(file, line);) {
      out.push_back(line);
    }
    return out;
  }

  std::string folder_, path_;
};

using Lines = std::vector<std::string>;

TEST_F(EveWriterTest, AppendsLines) {
  std::ofstream(path_) << "old\n";
  const auto writer = EveWriter::open(path_).value();
  EXPECT_TRUE(writer->write("one"));
  EXPECT_TRUE(writer->write("two"));
  EXPECT_EQ(lines(path_), (Lines{"old", "one", "two"}));
  EXPECT_EQ(writer->counts().written, 2U);
}

TEST_F(EveWriterTest, ANewFileIsNotForEverybody) {
  const auto writer = EveWriter::open(path_).value();
  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0007, 0U);
}

TEST_F(EveWriterTest, FollowsRotationAndDeletion) {
  const auto writer = EveWriter::open(path_).value();
  EXPECT_TRUE(writer->write("one"));
  std::filesystem::rename(path_, path_ + ".1");
  EXPECT_TRUE(writer->write("two"));
  std::filesystem::remove(path_);
  EXPECT_TRUE(writer->write("three"));
  EXPECT_TRUE(writer->reopen());
  EXPECT_TRUE(writer->write("four"));
  EXPECT_EQ(lines(path_ + ".1"), Lines{"one"});
  EXPECT_EQ(lines(path_), (Lines{"three", "four"}));
  EXPECT_EQ(writer->counts().reopened, 3U);
}

TEST_F(EveWriterTest, KeepsTheOldFileWhenANewOneCannotBeMade) {
  const auto writer = EveWriter::open(path_).value();
  std::filesystem::rename(path_, path_ + ".1");
  std::filesystem::create_directory(path_); // also root cannot open it for writing
  EXPECT_TRUE(writer->write("one"));
  EXPECT_EQ(lines(path_ + ".1"), Lines{"one"});
}

TEST_F(EveWriterTest, AFileThatCannotBeOpenedIsAnError) {
  const auto writer = EveWriter::open(folder_ + "/no/such/folder/eve.json");
  ASSERT_FALSE(writer);
  EXPECT_NE(writer.error().message.find("eve.json"), std::string::npos);
}

TEST_F(EveWriterTest, AFullDiskCostsLinesAndNothingElse) {
  const auto writer = EveWriter::open("/dev/full").value();
  const auto written = writer->write("one");
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().message.find("/dev/full"), std::string::npos);
  EXPECT_FALSE(writer->write("two"));
  EXPECT_EQ(writer->counts().lost, 2U);
  EXPECT_EQ(writer->counts().written, 0U);
}

/// A size limit makes write(2) end within a line, as a disk that fills up does.
TEST_F(EveWriterTest, ATornLineSpoilsNoOther) {
  const auto writer = EveWriter::open(path_).value();
  EXPECT_TRUE(writer->write("12345678"));
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{12, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_FALSE(writer->write("abcdefgh"));
  EXPECT_FALSE(writer->write("ijklmnop"));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_TRUE(writer->write("after"));
  EXPECT_EQ(lines(path_), (Lines{"12345678", "abc", "after"}));
  EXPECT_EQ(writer->counts().written, 2U);
  EXPECT_EQ(writer->counts().lost, 2U);
}

TEST_F(EveWriterTest, APipeWithoutReaderDoesNotBlock) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_FALSE(EveWriter::open(path_));
}

TEST_F(EveWriterTest, ThreadsDoNotMixTheirLines) {
  const auto writer = EveWriter::open(path_).value();
  std::vector<std::thread> threads;
  for (const char letter : {'a', 'b', 'c', 'd'}) {
    threads.emplace_back([&writer, letter] {
      for (int i = 0; i < 200; ++i) {
        EXPECT_TRUE(writer->write(std::string(300, letter)));
      }
    });
  }
  for (auto &thread : threads) {
    thread.join();
  }
  const auto written = lines(path_);
  EXPECT_EQ(written.size(), 800U);
  for (const auto &line : written) {
    EXPECT_EQ(line, std::string(300, line.at(0)));
  }
}

} // namespace
} // namespace outguard::store
