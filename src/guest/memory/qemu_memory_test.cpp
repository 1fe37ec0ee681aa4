#include <csignal>
#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/memory/qemu_memory.h"
#include "guest/testing/elf_core_builder.h"

namespace outguard::guest {
namespace {

Fd memory_of(pid_t process) {
  return Fd(open(("/proc/" + std::to_string(process) + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
}

MemoryRegion through_process(std::uint64_t guest, const std::vector<std::uint8_t> &bytes) {
  return {guest, bytes.size(), reinterpret_cast<std::uintptr_t>(bytes.data()), 0, -1};
}

class QemuMemoryTest : public testing::Test {
protected:
  std::vector<std::uint8_t> low_ = std::vector<std::uint8_t>(0x3000, 1);
  std::vector<std::uint8_t> high_ = std::vector<std::uint8_t>(0x2000, 2);
};

TEST_F(QemuMemoryTest, ReadsThroughTheProcess) {
  const MemoryLayout layout{
      {through_process(0, low_), through_process(0x3000, high_), through_process(0x10'0000, low_)}};
  const auto memory = QemuMemory::open(layout, memory_of(getpid()), {});
  ASSERT_TRUE(memory) << memory.error().reason;
  EXPECT_EQ((*memory)->read<std::uint64_t>(GuestPhysical(0x2ffc))->any_value(),
            0x0202'0202'0101'0101U);
  ASSERT_EQ((*memory)->ranges().size(), 2U) << "neighbours are one range";
  EXPECT_EQ((*memory)->ranges()[0].length, 0x5000U);
  EXPECT_EQ((*memory)->read<std::uint8_t>(GuestPhysical(0x5000)).error().code, FaultCode::Unmapped);
  EXPECT_EQ((*memory)->read<std::uint32_t>(GuestPhysical(0x4ffe)).error().code,
            FaultCode::Unmapped);
}

TEST_F(QemuMemoryTest, ReadsMappedFilesAtAnyOffset) {
  std::vector<std::uint8_t> content(0x20000);
  for (std::size_t i = 0; i < content.size(); ++i) {
    content[i] = static_cast<std::uint8_t>(i / 512);
  }
  std::vector<Fd> files;
  files.push_back(file_of(content));
  const MemoryLayout layout{{{0x1000, 0x800, 0, 0x200, 0}, {0x8000, 0x18000, 0, 0x8000, 0}}};
  const auto memory = QemuMemory::open(layout, Fd(), std::move(files));
  ASSERT_TRUE(memory) << memory.error().reason;
  EXPECT_EQ((*memory)->read<std::uint8_t>(GuestPhysical(0x1000))->any_value(), 1);
  EXPECT_EQ((*memory)->read<std::uint8_t>(GuestPhysical(0x17ff))->any_value(), 4);
  std::vector<std::uint8_t> bulk(0x18000);
  ASSERT_TRUE((*memory)->read(GuestPhysical(0x8000), bulk));
  EXPECT_TRUE(std::equal(bulk.begin(), bulk.end(), content.begin() + 0x8000));
}

TEST_F(QemuMemoryTest, ReadsBothKindsInOneRead) {
  std::vector<Fd> files;
  files.push_back(file_of(high_));
  const MemoryLayout layout{{{0, 0x2000, 0, 0, 0}, through_process(0x2000, low_)}};
  const auto memory = QemuMemory::open(layout, memory_of(getpid()), std::move(files));
  ASSERT_TRUE(memory);
  EXPECT_EQ((*memory)->read<std::uint64_t>(GuestPhysical(0x1ffc))->any_value(),
            0x0101'0101'0202'0202U);
}

TEST_F(QemuMemoryTest, BulkReadsDoNotFillASparseFile) {
  Fd file(memfd_create("ram", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(file.get(), 1 << 20), 0);
  const int raw = file.get();
  std::vector<Fd> files;
  files.push_back(std::move(file));
  const auto memory = QemuMemory::open({{{0, 1 << 20, 0, 0, 0}}}, Fd(), std::move(files));
  ASSERT_TRUE(memory);
  std::vector<std::uint8_t> all(1 << 20);
  ASSERT_TRUE((*memory)->read(GuestPhysical(0), all));
  struct stat status {};
  ASSERT_EQ(fstat(raw, &status), 0);
  EXPECT_EQ(status.st_blocks, 0);
}

TEST_F(QemuMemoryTest, SaysWhetherAPageOrTheProcessIsGone) {
  void *shared = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  const pid_t child = fork();
  if (child == 0) {
    munmap(static_cast<char *>(shared) + 4096, 4096);
    raise(SIGSTOP);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, WUNTRACED), child);
  const MemoryLayout layout{{{0, 8192, reinterpret_cast<std::uintptr_t>(shared), 0, -1}}};
  const auto memory = QemuMemory::open(layout, memory_of(child), {});
  ASSERT_TRUE(memory);
  EXPECT_TRUE((*memory)->read<std::uint8_t>(GuestPhysical(0)));
  EXPECT_EQ((*memory)->read<std::uint8_t>(GuestPhysical(4096)).error().code, FaultCode::Unmapped);
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  EXPECT_EQ((*memory)->read<std::uint8_t>(GuestPhysical(0)).error().code, FaultCode::SourceGone);
  munmap(shared, 8192);
}

TEST_F(QemuMemoryTest, RefusesBadLayouts) {
  const auto refused = [&](std::vector<MemoryRegion> regions) {
    std::vector<Fd> files;
    files.push_back(file_of(high_));
    return !QemuMemory::open({std::move(regions)}, memory_of(getpid()), std::move(files));
  };
  const MemoryRegion low = through_process(0x1000, low_);
  EXPECT_FALSE(refused({low}));
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused(std::vector<MemoryRegion>(kMaxMemoryRegions + 1, low)));
  EXPECT_TRUE(refused({{0, 0, 0, 0, -1}})) << "empty";
  EXPECT_TRUE(refused({low, low})) << "overlapping";
  EXPECT_TRUE(refused({through_process(0x10000, low_), low})) << "unsorted";
  EXPECT_TRUE(refused({{~std::uint64_t{0xfff}, 0x2000, 0x1000, 0, -1}})) << "guest address wraps";
  EXPECT_TRUE(refused({{0, 0x2000, ~std::uint64_t{0xfff}, 0, -1}})) << "host address wraps";
  EXPECT_TRUE(refused({{0, 0x2000, 0, ~std::uint64_t{0xfff}, 0}})) << "file offset wraps";
  EXPECT_TRUE(refused({{0, 0x2001, 0, 0, 0}})) << "file shorter";
  EXPECT_TRUE(refused({{0, 0x1000, 0, 0, 1}})) << "no such file";
  EXPECT_FALSE(QemuMemory::open({{low}}, Fd(), {})) << "no process";
}

} // namespace
} // namespace outguard::guest
