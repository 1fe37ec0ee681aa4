#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/file_watch.h"

namespace outguard::daemon {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds kLong{20'000};
constexpr std::chrono::seconds kAtOnce{10}; // of a wait that kLong would have ended

class FileWatchTest : public testing::Test {
protected:
  FileWatchTest()
      : folder_(fs::temp_directory_path() / ("outguard-watch-" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~FileWatchTest() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string path(const std::string &name) const {
    return (folder_ / name).string();
  }
  void write(const std::string &name, const std::string &text) const {
    std::ofstream(path(name)) << text;
  }
  [[nodiscard]] std::uint64_t signature(const std::vector<std::string> &names) const {
    std::vector<std::string> files;
    files.reserve(names.size());
    for (const auto &name : names) {
      files.push_back(path(name));
    }
    return signature_of(files);
  }

  fs::path folder_;
};

bool wakes_at_once(FileWatch &watch, int wake_fd = -1) {
  const auto start = monotonic_now();
  watch.wait(wake_fd, kLong);
  return monotonic_now() - start < kAtOnce;
}

TEST_F(FileWatchTest, TheSignatureFollowsContentPlaceAndAbsence) {
  write("a", "1");
  const auto first = signature({"a", "b"});
  EXPECT_EQ(signature({"a", "b"}), first);
  EXPECT_NE(signature({"b", "a"}), first);
  write("a", "22");
  const auto longer = signature({"a", "b"});
  EXPECT_NE(longer, first);
  write("b", "1");
  const auto both = signature({"a", "b"});
  EXPECT_NE(both, longer);
  write("b.new", "1"); // the same content, put in its place
  fs::rename(path("b.new"), path("b"));
  EXPECT_NE(signature({"a", "b"}), both);
}

TEST_F(FileWatchTest, WakesOfARenameIntoAFolderAndOfItsOwnersWish) {
  FileWatch watch;
  watch.watch(std::vector{folder_.string()});
  watch.watch(std::vector{folder_.string(), path("absent")}); // again is nothing new
  const Fd wish(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  const auto start = monotonic_now();
  watch.wait(wish.get(), milliseconds(50));
  EXPECT_GE(monotonic_now() - start, milliseconds(49)); // nothing happened
  write("a.new", "1");
  fs::rename(path("a.new"), path("a"));
  EXPECT_TRUE(wakes_at_once(watch, wish.get()));
  const std::uint64_t one = 1;
  ASSERT_EQ(::write(wish.get(), &one, sizeof one), 8);
  EXPECT_TRUE(wakes_at_once(watch, wish.get()));
  const auto again = monotonic_now();
  watch.wait(wish.get(), milliseconds(50));
  EXPECT_GE(monotonic_now() - again, milliseconds(49)); // both were taken
}

TEST_F(FileWatchTest, AFolderThatCameBackIsWatchedAgain) {
  FileWatch watch;
  watch.watch(std::vector{folder_.string()});
  fs::remove_all(folder_);
  EXPECT_TRUE(wakes_at_once(watch));
  fs::create_directories(folder_);
  watch.watch(std::vector{folder_.string()});
  while (true) { // what is left of the old one
    const auto start = monotonic_now();
    watch.wait(-1, milliseconds(20));
    if (monotonic_now() - start >= milliseconds(20)) {
      break;
    }
  }
  write("a", "1");
  EXPECT_TRUE(wakes_at_once(watch));
}

TEST_F(FileWatchTest, TheLastChangeIsThatOfTheLatestFile) {
  EXPECT_FALSE(last_change(std::vector{path("a"), path("b")}));
  write("a", "1");
  const auto before = wall_now() - std::chrono::seconds(2); // file systems' clocks are coarse
  const auto changed = last_change(std::vector{path("a"), path("b")});
  ASSERT_TRUE(changed);
  EXPECT_GT(*changed, before);
  EXPECT_LT(*changed, wall_now() + std::chrono::seconds(2));
}

} // namespace
} // namespace outguard::daemon
