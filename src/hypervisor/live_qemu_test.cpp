// Against QEMU itself, without a guest. Parts that need root or tun are skipped loudly.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "hypervisor/child_process.h"
#include "hypervisor/memory_opener.h"
#include "hypervisor/network_namespace.h"
#include "hypervisor/packet_ring_opener.h"
#include "hypervisor/qmp_client.h"
#include "hypervisor/vm_control.h"
#include "hypervisor/vm_finder.h"

namespace outguard::hypervisor {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

bool have_qemu() {
  return std::system("command -v qemu-system-x86_64 >/dev/null 2>&1") == 0;
}

/// QEMU without a guest: stands at the reset vector, memory is all there.
std::vector<std::string> qemu_words(const std::string &name, std::vector<std::string> more) {
  std::vector<std::string> words{"qemu-system-x86_64",
                                 "-nodefaults",
                                 "-display",
                                 "none",
                                 "-accel",
                                 "tcg",
                                 "-name",
                                 "guest=" + name + ",debug-threads=on",
                                 "-qmp",
                                 "unix:q,server=on,wait=off"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// Private and shared RAM, small and above the hole below 4 GiB.
class LiveQemu : public testing::Test {
protected:
  void SetUp() override {
    if (!have_qemu() || ::geteuid() != 0) {
      GTEST_SKIP() << "SKIPPED: needs qemu-system-x86_64 and root";
    }
  }
  VmFound start(const std::string &name, std::vector<std::string> more) {
    child_ = std::make_unique<Child>(qemu_words(name, std::move(more)), folder_.path());
    const std::string path = folder_.path() + "/q";
    EXPECT_TRUE(eventually([&] { return QmpClient::connect(path).has_value(); }));
    const auto vm = resolve_target("qmp:" + path);
    EXPECT_TRUE(vm) << vm.error().message;
    return vm.value_or(VmFound{});
  }
  static std::uint64_t bytes_of(const MemoryLayout &layout) {
    std::uint64_t sum = 0;
    for (const auto &region : layout.regions) {
      sum += region.length;
    }
    return sum;
  }

  TemporaryFolder folder_;
  std::unique_ptr<Child> child_;
};

TEST_F(LiveQemu, RelativeSocketPathsAreFound) {
  const auto vm = start("relative", {"-S", "-m", "64M"});
  const auto same = resolve_target("pid:" + std::to_string(vm.pid));
  ASSERT_TRUE(same);
  EXPECT_EQ(same->qmp_path, folder_.path() + "/q");
  EXPECT_EQ(same->name, "relative");
}

TEST_F(LiveQemu, PrivateRamGoesThroughTheProcess) {
  const auto vm = start("private", {"-m", "5G", "-machine", "q35"});
  const auto memory = open_memory(vm);
  ASSERT_TRUE(memory) << memory.error().message;
  // Firmware and its shadow hide a part of the first MiB.
  EXPECT_GE(bytes_of(memory->writable), (5ULL << 30) - (1U << 20));
  EXPECT_LE(bytes_of(memory->writable), 5ULL << 30);
  EXPECT_TRUE(memory->files.empty());
  EXPECT_TRUE(memory->process_memory);
  EXPECT_THAT(memory->registers, HasSubstr("CR3="));
  const auto &high = memory->writable.regions.back();
  EXPECT_EQ(high.guest_start, 4ULL << 30);
}

TEST_F(LiveQemu, SharedRamIsMappedAndHoldsTheSameBytes) {
  const auto vm =
      start("shared", {"-m", "5G", "-object", "memory-backend-memfd,id=ram,size=5G,share=on",
                       "-machine", "pc,memory-backend=ram"});
  const auto memory = open_memory(vm);
  ASSERT_TRUE(memory) << memory.error().message;
  ASSERT_EQ(memory->files.size(), 1U);
  EXPECT_FALSE(memory->process_memory) << "a sensor must not see QEMU itself when it need not";
  auto control = QemuControl::open(vm, memory->writable);
  ASSERT_TRUE(control) << control.error().message;
  // Above 4 GiB the file's offset differs from the guest's address: that is where mistakes show.
  const std::uint64_t address = (4ULL << 30) + 0x1234;
  const std::array<std::uint8_t, 4> written{0xde, 0xad, 0xbe, 0xef};
  ASSERT_TRUE((*control)->write(address, written));
  const auto &high = memory->layout.regions.back();
  ASSERT_EQ(high.file_index, 0);
  ASSERT_EQ(high.guest_start, 4ULL << 30);
  void *mapped = ::mmap(nullptr, 0x2000, PROT_READ, MAP_SHARED, memory->files[0].get(),
                        static_cast<off_t>(high.file_offset));
  ASSERT_NE(mapped, MAP_FAILED);
  EXPECT_EQ(std::memcmp(static_cast<char *>(mapped) + 0x1234, written.data(), written.size()), 0);
  ::munmap(mapped, 0x2000);
  EXPECT_EQ(::mmap(nullptr, 0x1000, PROT_WRITE, MAP_SHARED, memory->files[0].get(), 0), MAP_FAILED)
      << "the sensor's file must be read-only";
}

TEST_F(LiveQemu, ControlReadsWritesPausesAndKeepsToRam) {
  const auto vm = start("control", {"-m", "64M"});
  const auto memory = open_memory(vm);
  ASSERT_TRUE(memory) << memory.error().message;
  auto control = QemuControl::open(vm, memory->writable);
  ASSERT_TRUE(control) << control.error().message;
  {
    auto paused = PausedVm::pause(**control);
    ASSERT_TRUE(paused) << paused.error().message;
    EXPECT_FALSE((*control)->status()->running);
    const auto took = paused->resume();
    ASSERT_TRUE(took);
    RecordProperty("paused_us", static_cast<int>(took->count() / 1000));
    std::printf("paused for %lld us\n", static_cast<long long>(took->count() / 1000));
  }
  EXPECT_TRUE((*control)->status()->running);
  std::array<std::uint8_t, 8> bytes{};
  EXPECT_TRUE((*control)->read((64ULL << 20) - 8, bytes));
  EXPECT_FALSE((*control)->read((64ULL << 20) - 4, bytes)) << "past the end of RAM";
  EXPECT_FALSE((*control)->write(0xfffffff0, bytes)) << "firmware is not RAM";
  EXPECT_FALSE((*control)->read(~0ULL - 2, bytes));
}

TEST_F(LiveQemu, FirmwareThatStartsDoesNotStopUs) {
  const auto vm = start("starting", {"-m", "64M"});
  auto qmp = QmpClient::connect(vm.qmp_path, vm.pid);
  ASSERT_TRUE(qmp);
  for (int i = 0; i < 20; ++i) { // it moves the first MiB about for as long as this takes
    ASSERT_TRUE(qmp->execute("system_reset"));
    const auto memory = open_memory(vm, *qmp);
    ASSERT_TRUE(memory) << memory.error().message;
    EXPECT_GE(bytes_of(memory->writable), 63ULL << 20);
  }
}

TEST_F(LiveQemu, AnotherClientMeansBusy) {
  const auto vm = start("busy", {"-S", "-m", "64M"});
  const auto first = QmpClient::connect(vm.qmp_path, vm.pid);
  ASSERT_TRUE(first);
  const auto second = QmpClient::connect(vm.qmp_path, vm.pid, 200ms);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("busy"));
}

TEST_F(LiveQemu, AReusedPidIsAnotherVm) {
  auto vm = start("reused", {"-S", "-m", "64M"});
  vm.start_time += 1;
  EXPECT_EQ(open_memory(vm).error().code, ErrorCode::NotFound);
  EXPECT_EQ(QemuControl::open(vm, {}).error().code, ErrorCode::NotFound);
}

TEST_F(LiveQemu, TapsAreFoundInTheirNamespaceAndCaptured) {
  if (::access("/dev/net/tun", R_OK | W_OK) != 0) {
    GTEST_SKIP() << "SKIPPED: no /dev/net/tun";
  }
  // QEMU runs in a namespace of its own and its tap with it.
  const std::string netns = "ogh" + std::to_string(::getpid());
  ASSERT_EQ(std::system(("ip netns add " + netns).c_str()), 0);
  const std::string words = "cd " + folder_.path() + " && exec ip netns exec " + netns +
                            " qemu-system-x86_64 -nodefaults -display none -S -m 64M -name tapped "
                            "-qmp unix:q,server=on,wait=off "
                            "-netdev tap,id=n,ifname=ogtest0,script=no,downscript=no";
  {
    const Child qemu({"sh", "-c", words});
    const std::string path = folder_.path() + "/q";
    EXPECT_TRUE(eventually([&] { return QmpClient::connect(path).has_value(); }));
    const auto vm = resolve_target("qmp:" + path);
    ASSERT_TRUE(vm) << vm.error().message;
    ASSERT_EQ(vm->taps.size(), 1U);
    EXPECT_EQ(vm->taps[0].name, "ogtest0");
    EXPECT_EQ(vm->taps[0].netns, vm->netns);
    const auto own = open_own_namespace();
    EXPECT_NE(vm->taps[0].netns, *namespace_inode(*own));
    EXPECT_EQ(::if_nametoindex("ogtest0"), 0U) << "not visible from here";
    const auto ring = open_packet_ring(*vm, vm->taps[0]);
    ASSERT_TRUE(ring) << ring.error().message;
    void *mapped = ::mmap(nullptr, ring->ring.bytes(), PROT_READ | PROT_WRITE, MAP_SHARED,
                          ring->socket.get(), 0);
    EXPECT_NE(mapped, MAP_FAILED);
    ::munmap(mapped, ring->ring.bytes());
    int locked = 0;
    socklen_t size = sizeof locked;
    EXPECT_EQ(::getsockopt(ring->openings.get(), SOL_SOCKET, SO_LOCK_FILTER, &locked, &size), 0);
    EXPECT_EQ(locked, 1);
    auto missing = vm->taps[0];
    missing.name = "other";
    EXPECT_EQ(open_packet_ring(*vm, missing).error().code, ErrorCode::NotFound);
  }
  ASSERT_EQ(std::system(("ip netns delete " + netns).c_str()), 0);
}

} // namespace
} // namespace outguard::hypervisor
