#include <gtest/gtest.h>

#include "guest/linux/linux_guest.h"
#include "guest/testing/linux_image.h"

namespace outguard::guest {
namespace {

TEST(LinuxGuest, AttachesUnderFourAndFiveLevels) {
  for (const PagingLevels levels : {PagingLevels::Four, PagingLevels::Five}) {
    LinuxImage image(levels);
    auto guest = LinuxGuest::attach(image.kernel());
    ASSERT_TRUE(guest);
    EXPECT_TRUE(guest->self_check());
    EXPECT_EQ(guest->processes().processes.at(0).cmdline.value().size(), 1U);
  }
}

TEST(LinuxGuest, NamesWhatTheKernelLacks) {
  LinuxImage image;
  image.types().remove_member("task_struct", "signal");
  const auto guest = LinuxGuest::attach(image.kernel());
  ASSERT_FALSE(guest);
  EXPECT_EQ(guest.error().what, "the kernel's types lack task_struct.signal");
}

TEST(LinuxGuest, StillBootingUntilPidOneRunsAProgram) {
  LinuxImage image;
  image.set(image.init_process(), "task_struct", "mm", 0);
  const auto checked = LinuxGuest::attach(image.kernel())->self_check();
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().state, GuestState::Booting);
}

TEST(LinuxGuest, ASelfCheckThatFails) {
  LinuxImage image;
  image.builder().put_text(image.at(image.init_task(), "task_struct", "comm"), "systemd");
  const auto named = LinuxGuest::attach(image.kernel())->self_check();
  ASSERT_FALSE(named);
  EXPECT_EQ(named.error().state, GuestState::Unreadable);
  image.builder().unmap(image.init_task());
  const auto unmapped = LinuxGuest::attach(image.kernel())->self_check();
  ASSERT_FALSE(unmapped);
  EXPECT_EQ(unmapped.error().fault.code, FaultCode::Unmapped);
}

TEST(LinuxGuest, WithoutRegistersItIsThereWhileItsMemoryIs) {
  LinuxImage image;
  Kernel kernel = image.kernel();
  const GuestVirtual banner =
      image.at(image.init_task(), "task_struct", "comm"); // any text will do
  kernel.seen.text_base = image.init_task().raw();
  kernel.seen.banner = GuestText("swapper");
  auto symbols = std::make_unique<FakeSymbolTable>(image.symbols());
  symbols->add("linux_banner", banner);
  kernel.symbols = std::move(symbols);
  auto guest = LinuxGuest::attach(std::move(kernel)).value();
  EXPECT_TRUE(guest.is_run_by({}));
  EXPECT_FALSE(guest.is_run_by(std::vector<CpuRegisters>(1))) << "a CPU without paging";
  image.builder().put_text(banner, "another");
  EXPECT_FALSE(guest.is_run_by({}));
  image.builder().put_text(banner, "swapper");
  EXPECT_TRUE(guest.is_run_by({}));
  image.builder().unmap(image.init_task());
  EXPECT_FALSE(guest.is_run_by({}));
}

TEST(LinuxGuest, SourceGoneEndsEveryCall) {
  LinuxImage image;
  auto guest = LinuxGuest::attach(image.kernel()).value();
  image.builder().memory().fail_after(0);
  EXPECT_FALSE(guest.processes().completeness.complete());
  EXPECT_FALSE(guest.sockets().completeness.complete());
  EXPECT_EQ(guest.fate({1, 1, 1}), ProcessFate::Unknown);
  EXPECT_EQ(guest.attribute({}, wall_now()).status, AttributionStatus::Unavailable);
}

} // namespace
} // namespace outguard::guest
