#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sensor/archive_writer.h"

namespace outguard::sensor {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kPlenty = std::uint64_t{1} << 30;

Fd memory_with(const std::string &text) {
  Fd memory(memfd_create("part", MFD_CLOEXEC));
  EXPECT_EQ(write(memory.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  return memory;
}

struct ArchiveWriterTest : testing::Test {
  ArchiveWriterTest() {
    std::string name = (fs::temp_directory_path() / "archive-XXXXXX").string();
    folder = mkdtemp(name.data());
    file = Fd(::open((folder / "a.tar.zst").c_str(), O_CREAT | O_RDWR, 0600));
  }
  ~ArchiveWriterTest() override { fs::remove_all(folder); }

  [[nodiscard]] bool run(const std::string &command) const {
    return std::system(("cd " + folder.string() + " && " + command).c_str()) == 0;
  }
  [[nodiscard]] std::string text_of(const std::string &name) const {
    std::ifstream in(folder / name);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }

  fs::path folder;
  Fd file;
};

TEST_F(ArchiveWriterTest, PlainToolsReadIt) {
  auto writer = ArchiveWriter::open(file.get(), "evidence", kPlenty);
  ASSERT_TRUE(writer);
  std::string large;
  for (int i = 0; i < 100'000; ++i) {
    large += std::to_string(i);
  }
  const std::vector<std::pair<std::string, std::string>> parts = {
      {"empty", ""}, {"block", std::string(512, 'b')}, {"text.json", "{}\n"}, {"large", large}};
  std::ofstream sums(folder / "sums");
  for (const auto &[name, text] : parts) {
    const auto sha256 =
        writer->add(name, memory_with(text), text.size(), 1'700'000'000'000'000'000);
    ASSERT_TRUE(sha256);
    sums << *sha256 << "  evidence/" << name << "\n";
  }
  ASSERT_TRUE(writer->add("short", memory_with("ab"), 5, -1)); // zeros beyond its end
  ASSERT_TRUE(writer->finish());
  sums.close();
  ASSERT_TRUE(run("tar --zstd -xf a.tar.zst && sha256sum --quiet --strict -c sums"));
  for (const auto &[name, text] : parts) {
    EXPECT_EQ(text_of("evidence/" + name), text) << name;
  }
  EXPECT_EQ(text_of("evidence/short"), std::string("ab\0\0\0", 5));
  EXPECT_EQ(fs::status(folder / "evidence/large").permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(ArchiveWriterTest, NamesAreOursAlone) {
  for (const char *name :
       {"", "..", ".hidden", "a/b", "/etc/passwd", "a\nb", "-rf", "a b", "\xff"}) {
    EXPECT_FALSE(ArchiveWriter::open(file.get(), name, kPlenty)) << name;
    auto writer = ArchiveWriter::open(file.get(), "evidence", kPlenty);
    ASSERT_TRUE(writer);
    EXPECT_FALSE(writer->add(name, memory_with("x"), 1, 0)) << name;
  }
  auto writer = ArchiveWriter::open(file.get(), "evidence", kPlenty);
  EXPECT_FALSE(writer->add(std::string(91, 'x'), memory_with("x"), 1, 0));
  EXPECT_TRUE(writer->add(std::string(90, 'x'), memory_with("x"), 1, 0));
  EXPECT_FALSE(writer->add("x", memory_with("x"), std::uint64_t{1} << 33, 0));
}

TEST_F(ArchiveWriterTest, ItEndsAtItsCapAndAtAFullDisk) {
  std::string noise(1U << 20, 'x');
  std::uint32_t state = 1;
  for (char &byte : noise) {
    state = state * 1'664'525 + 1'013'904'223;
    byte = static_cast<char>(state >> 24U);
  }
  auto small = ArchiveWriter::open(file.get(), "evidence", 100'000);
  const auto cut = small->add("noise", memory_with(noise), noise.size(), 0);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, ErrorCode::LimitReached);
  EXPECT_LE(fs::file_size(folder / "a.tar.zst"), 100'000U);
  const Fd full(::open("/dev/full", O_WRONLY));
  auto nowhere = ArchiveWriter::open(full.get(), "evidence", kPlenty);
  const auto lost = nowhere->add("noise", memory_with(noise), noise.size(), 0);
  ASSERT_FALSE(lost);
  EXPECT_NE(lost.error().message.find("No space left"), std::string::npos);
}

} // namespace
} // namespace outguard::sensor
