#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/linux/kernel_integrity.h"
#include "guest/linux/linux_guest.h"
#include "guest/testing/linux_image.h"

namespace outguard::guest {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct KernelIntegrityTest : testing::Test {
  KernelIntegrityTest() {
    image.types().add_type("seq_operations", 32);
    image.types().add_member("seq_operations", "show", {24, 8, 0, 0});
    image.symbols().add("_stext", text);
    image.symbols().add("_etext", text.plus_wrapping(4096));
    image.symbols().add("tcp4_seq_ops", operations);
    image.symbols().add("filldir64", entry);
    image.symbols().add("sys_call_table", calls);
    image.builder().put_pointer(operations.plus_wrapping(24), text.plus_wrapping(64));
    for (std::uint64_t number = 0; number < 300; ++number) {
      image.builder().put_pointer(calls.plus_wrapping(number * 8), text.plus_wrapping(number));
    }
    begin_with({0x0f, 0x1f, 0x44, 0x00, 0x00, 0x55});
  }
  void begin_with(const std::vector<std::uint8_t> &code) { image.builder().write(entry, code); }
  std::vector<std::string> broken() {
    return LinuxGuest::attach(image.kernel())->integrity().broken;
  }

  LinuxImage image;
  GuestVirtual text = image.builder().allocate(8192);
  GuestVirtual operations = image.builder().allocate(32);
  GuestVirtual calls = image.builder().allocate(2400);
  GuestVirtual entry = text.plus_wrapping(512);
};

TEST_F(KernelIntegrityTest, AnHonestKernel) {
  EXPECT_THAT(broken(), IsEmpty());
  EXPECT_GE(LinuxGuest::attach(image.kernel())->integrity().checked, 8U);
}

TEST_F(KernelIntegrityTest, APointerThatLeadsAway) {
  image.builder().put(operations.plus_wrapping(24), std::uint64_t{0xffff'ffff'c000'1000});
  EXPECT_THAT(broken(), ElementsAre("tcp4_seq_ops.show leads outside the kernel's text"));
}

TEST_F(KernelIntegrityTest, ASystemCallThatLeadsAway) {
  image.builder().put(calls.plus_wrapping(std::uint64_t{217} * 8),
                      std::uint64_t{0xffff'ffff'c000'1000});
  EXPECT_THAT(broken(), ElementsAre("sys_call_table[getdents64] leads outside the kernel's text"));
}

TEST_F(KernelIntegrityTest, AFunctionThatBeginsElsewhere) {
  begin_with({0xe8, 0x00, 0x01, 0x00, 0x00}); // a call into the kernel's own tracer
  EXPECT_THAT(broken(), IsEmpty());
  begin_with({0xe9, 0x00, 0x00, 0x00, 0x20});
  EXPECT_THAT(broken(), ElementsAre("filldir64 is patched to lead outside the kernel's text"));
  begin_with({0xf3, 0x0f, 0x1e, 0xfa, 0xe9, 0x00, 0x00, 0x00, 0x20}); // behind endbr64
  EXPECT_THAT(broken(), ElementsAre("filldir64 is patched to lead outside the kernel's text"));
  begin_with({0xcc, 0x1f, 0x44, 0x00, 0x00});
  EXPECT_THAT(broken(), ElementsAre("filldir64 begins with a breakpoint (a kprobe, or a hook)"));
  begin_with({0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0xe0});
  EXPECT_THAT(broken(), ElementsAre("filldir64 begins with an indirect jump"));
}

TEST_F(KernelIntegrityTest, ATracedFunctionHidesNoOther) {
  const GuestVirtual traced = text.plus_wrapping(1024);
  image.symbols().add("tcp4_seq_show", traced); // looked at before filldir64
  image.builder().write(traced, std::vector<std::uint8_t>{0xe8, 0x00, 0x01, 0x00, 0x00});
  begin_with({0xe9, 0x00, 0x00, 0x00, 0x20});
  EXPECT_THAT(broken(), ElementsAre("filldir64 is patched to lead outside the kernel's text"));
}

TEST_F(KernelIntegrityTest, BytesThatOnlyLookLikeAJump) {
  begin_with({0x55, 0x48, 0x89, 0xe5, 0xe9, 0x00, 0x00, 0x00, 0x20}); // no mark in front
  EXPECT_THAT(broken(), IsEmpty());
}

TEST_F(KernelIntegrityTest, WithoutTheBordersOfTheTextNothingIsSaid) {
  LinuxImage other;
  const auto findings = LinuxGuest::attach(other.kernel())->integrity();
  EXPECT_EQ(findings.checked, 0U);
  EXPECT_THAT(findings.broken, IsEmpty());
}

} // namespace
} // namespace outguard::guest
