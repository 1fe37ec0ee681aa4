#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "evidence/archive_file.h"
#include "evidence/evidence_collector.h"

namespace outguard::evidence {
namespace {

namespace fs = std::filesystem;

struct ArchiveFileTest : testing::Test {
  ArchiveFileTest() {
    std::string name = (fs::temp_directory_path() / "evidence-XXXXXX").string();
    folder = mkdtemp(name.data());
  }
  ~ArchiveFileTest() override { fs::remove_all(folder); }
  [[nodiscard]] std::string path() const { return (folder / "a.tar.zst").string(); }

  fs::path folder;
};

TEST_F(ArchiveFileTest, ItHasNoNameBeforeItIsKept) {
  auto file = ArchiveFile::open(path());
  ASSERT_TRUE(file);
  ASSERT_EQ(::write(file->file().get(), "abc", 3), 3);
  EXPECT_FALSE(fs::exists(path()));
  const auto kept = file->keep();
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_EQ(kept->bytes, 3U);
  EXPECT_EQ(kept->sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(fs::status(path()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(ArchiveFileTest, WhatIsNotKeptLeavesNothing) {
  { const auto file = ArchiveFile::open(path()); }
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST_F(ArchiveFileTest, NothingIsReplaced) {
  auto file = ArchiveFile::open(path());
  ASSERT_TRUE(file);
  std::ofstream(path()) << "another";
  EXPECT_FALSE(file->keep()); // came meanwhile
  EXPECT_FALSE(ArchiveFile::open(path()));
  EXPECT_EQ(fs::file_size(path()), 7U);
  fs::remove(path());
  fs::create_symlink("/nowhere", path());
  EXPECT_FALSE(ArchiveFile::open(path()));
}

TEST_F(ArchiveFileTest, AFolderIsMadeAndHasItsMost) {
  const auto deep = (folder / "new" / "evidence").string();
  ASSERT_TRUE(prepare_folder(deep, 1));
  EXPECT_EQ(fs::status(deep).permissions(), fs::perms::owner_all);
  std::ofstream(deep + "/notes") << "";
  EXPECT_TRUE(prepare_folder(deep, 1));
  std::ofstream(deep + "/one.tar.zst") << "";
  const auto full = prepare_folder(deep, 1);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ErrorCode::LimitReached);
}

TEST(ArchiveName, HasNothingThatAnOwnerOfAVmCouldChoose) {
  store::EvidenceSubject subject;
  subject.vm = GuestText("../e\nvil vm");
  subject.process.pid = 42;
  subject.action = "a-0123456789ab";
  EXPECT_EQ(archive_name(subject), "___e_vil_vm-pid-42-a-0123456789ab.tar.zst");
  subject.vm = GuestText(std::string(300, 'x'));
  EXPECT_LT(archive_name(subject).size(), 100U);
}

} // namespace
} // namespace outguard::evidence
