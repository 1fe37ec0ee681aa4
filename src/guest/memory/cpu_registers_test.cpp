#include <string>

#include <gtest/gtest.h>

#include "guest/memory/cpu_registers.h"

namespace outguard::guest {
namespace {

/// As QEMU 7.2 prints a CPU in long mode, shortened.
constexpr std::string_view kLongMode = R"(
CPU#0
RAX=000000000001ad40 RBX=0000000000000000 RCX=ffffa09289634140 RDX=0000000000021afa
RIP=ffffffff934b56ce RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1
GDT=     fffffe0000001000 0000007f
IDT=     fffffe0000000000 00000fff
CR0=80050033 CR2=0000000000584980 CR3=000000000800a000 CR4=000016b0
DR0=0000000000000000 DR1=0000000000000000 DR2=0000000000000000 DR3=0000000000000000
EFER=0000000000000d01
)";
constexpr std::string_view kRealMode = R"(
CPU#1
EAX=00000000 EBX=00000000 ECX=00000000 EDX=00060fb1
EIP=0000fff0 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=1
GDT=     00000000 0000ffff
IDT=     00000000 0000ffff
CR0=60000010 CR2=00000000 CR3=00000000 CR4=00000000
EFER=0000000000000000
)";

TEST(CpuRegisters, ReadsEveryCpu) {
  const auto cpus = parse_registers(std::string(kLongMode) + std::string(kRealMode));
  ASSERT_EQ(cpus.size(), 2U);
  EXPECT_EQ(cpus[0].cr0, 0x8005'0033U);
  EXPECT_EQ(cpus[0].cr3, 0x800'a000U);
  EXPECT_EQ(cpus[0].cr4, 0x16b0U);
  EXPECT_TRUE(cpus[0].five_levels());
  EXPECT_TRUE(cpus[0].long_mode);
  EXPECT_EQ(cpus[0].rip, 0xffff'ffff'934b'56ceU);
  EXPECT_EQ(cpus[0].idt_base, 0xffff'fe00'0000'0000U);
  EXPECT_FALSE(cpus[1].long_mode);
  EXPECT_FALSE(cpus[1].five_levels());
  EXPECT_EQ(cpus[1].rip, 0xfff0U);
}

TEST(CpuRegisters, LeavesOutBlocksWithoutARoot) {
  EXPECT_TRUE(parse_registers("").empty());
  EXPECT_TRUE(parse_registers("CPU#0\nRIP=1\nXCR3=5\n").empty());
  EXPECT_TRUE(parse_registers("CPU#0\nCR3=zz\n").empty());
  EXPECT_EQ(parse_registers("CR3=1000").size(), 1U) << "a single CPU may come without its number";
  EXPECT_EQ(parse_registers("CR3=1000 IDT=   ")[0].idt_base, 0U);
}

TEST(CpuRegisters, StopsAtTheMostCpus) {
  std::string text;
  for (std::size_t i = 0; i < kMaxCpus + 5; ++i) {
    text += "CPU#" + std::to_string(i) + "\nCR3=1000\n";
  }
  EXPECT_EQ(parse_registers(text).size(), kMaxCpus);
}

} // namespace
} // namespace outguard::guest
