#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "launch/symbol_files.h"

namespace outguard::launch {
namespace {

class SymbolFilesTest : public testing::Test {
protected:
  SymbolFilesTest() {
    std::filesystem::create_directories(folder_ / "inner");
    put("6.1.0-1-amd64.json");
    put("6.1.0-2-amd64.json");
    put("6.1.0-2-amd64.json.xz");
    put("inner/6.1.0-3-amd64.json");
    std::filesystem::create_directories(folder_ / "6.1.0-4-amd64.json");
  }
  ~SymbolFilesTest() override { std::filesystem::remove_all(folder_); }

  void put(const std::string &name) { std::ofstream(folder_ / name) << name; }
  [[nodiscard]] std::string opened(const std::string &release) const {
    const auto file = SymbolFiles(folder_).for_release(GuestText(release));
    return !file ? ""
                 : std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(file->get()))
                       .lexically_relative(std::filesystem::canonical(folder_));
  }

  std::filesystem::path folder_ = testing::TempDir() + "symbol_files." + std::to_string(::getpid());
};

TEST_F(SymbolFilesTest, ByReleaseThePackedOneFirst) {
  EXPECT_EQ(opened("6.1.0-1-amd64"), "6.1.0-1-amd64.json");
  EXPECT_EQ(opened("6.1.0-2-amd64"), "6.1.0-2-amd64.json.xz");
}

TEST_F(SymbolFilesTest, NoReleaseLeadsOutOfTheFolder) {
  for (const char *release : {"", ".", "..", "inner/6.1.0-3-amd64", "../x", "/etc/passwd", "a b",
                              "6.1.0-4-amd64", "6.1.0-5-amd64"}) {
    EXPECT_EQ(opened(release), "") << release;
  }
}

TEST_F(SymbolFilesTest, AFileIsUsedInAnyCaseAndAFolderIsNot) {
  EXPECT_TRUE(SymbolFiles(folder_ / "6.1.0-1-amd64.json").file().value());
  EXPECT_FALSE(SymbolFiles(folder_).file().value());
  EXPECT_FALSE(SymbolFiles().file().value());
  EXPECT_FALSE(SymbolFiles(folder_ / "missing").file());
  EXPECT_FALSE(SymbolFiles("/dev/null").file()) << "no regular file";
}

TEST_F(SymbolFilesTest, TheErrorSaysWhatToDo) {
  const auto missing = SymbolFiles(folder_).for_release(GuestText("6.1.0-5-amd64"));
  ASSERT_FALSE(missing);
  EXPECT_NE(
      missing.error().message.find("put it to " + folder_.string() + "/6.1.0-5-amd64.json.xz"),
      std::string::npos);
  const auto none = SymbolFiles().for_release(GuestText("6.1.0-5-amd64"));
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("--symbols"), std::string::npos);
}

} // namespace
} // namespace outguard::launch
