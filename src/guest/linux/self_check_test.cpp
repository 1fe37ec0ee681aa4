#include <gtest/gtest.h>

#include "guest/linux/linux_guest.h"
#include "guest/linux/self_check.h"
#include "guest/testing/linux_image.h"

namespace outguard::guest {
namespace {

constexpr std::string_view kRelease = "6.1.0-test";

/// An image with all that the checks look at.
class CheckedImage : public LinuxImage {
public:
  CheckedImage() {
    types().add_member("net", "rtnl", types().member("net", "count").value());
    types().add_member("uts_namespace", "name.release", {130, 65, 0, 0});
    SocketSpec netlink;
    netlink.protocol = 0;
    netlink.type = 2;
    netlink.family = 16;
    netlink.in_table = false;
    routing_ = add_socket(netlink).sock;
    set(init_net(), "net", "count", routing_.raw());
    uts_ = builder().allocate(512);
    builder().put_text(uts_.plus_wrapping(130), std::string(kRelease));
    symbols().add("init_uts_ns", uts_);
    jiffies_ = builder().allocate(8);
    builder().put(jiffies_, std::uint64_t{0x1'0000'1000});
    symbols().add("jiffies_64", jiffies_);
  }

  [[nodiscard]] GuestVirtual routing() const { return routing_; }
  [[nodiscard]] GuestVirtual uts() const { return uts_; }
  [[nodiscard]] GuestVirtual jiffies() const { return jiffies_; }

  [[nodiscard]] tl::expected<void, GuestTrouble> check() {
    Kernel found = kernel();
    found.seen.release = GuestText(std::string(kRelease));
    return LinuxGuest::attach(std::move(found)).value().self_check();
  }

private:
  GuestVirtual routing_, uts_, jiffies_;
};

TEST(SelfCheck, AGoodImagePasses) {
  CheckedImage image;
  const auto checked = image.check();
  EXPECT_TRUE(checked) << checked.error().what;
}

struct Case {
  const char *reason;
  GuestState state;
  void (*spoil)(CheckedImage &);
};

TEST(SelfCheck, EachFailureHasItsName) {
  constexpr auto kBad = GuestState::Unreadable;
  const Case cases[] = {
      {"self-check swapper/0: init_task is not the idle task", kBad,
       [](CheckedImage &image) {
         image.builder().put_text(image.at(image.init_task(), "task_struct", "comm"), "systemd");
       }},
      {"self-check swapper/0: init_task is not the idle task", kBad,
       [](CheckedImage &image) { image.set(image.init_task(), "task_struct", "tgid", 7); }},
      {"self-check swapper/0: init_task cannot be read", kBad,
       [](CheckedImage &image) { image.builder().unmap(image.init_task()); }},
      {"self-check release: init_uts_ns is not of the banner's release", kBad,
       [](CheckedImage &image) {
         image.builder().put_text(image.uts().plus_wrapping(130), "5.10.0-other");
       }},
      {"self-check sock_common: skc_dport has an unknown place", kBad,
       [](CheckedImage &image) {
         image.types().add_member("sock_common", "skc_dport", {10, 2, 0, 0});
       }},
      {"self-check sock_common: skc_state has an unknown place", kBad,
       [](CheckedImage &image) {
         image.types().add_member("sock_common", "skc_state", {17, 1, 0, 0});
       }},
      {"self-check pid 1: it does not run a program yet", GuestState::Booting,
       [](CheckedImage &image) { image.set(image.init_process(), "task_struct", "mm", 0); }},
      {"self-check pid 1: it is not the idle task's child", kBad,
       [](CheckedImage &image) {
         image.set(image.init_process(), "task_struct", "real_parent", image.init_process().raw());
       }},
      {"self-check task list: neighbours do not point back at each other", kBad,
       [](CheckedImage &image) {
         const auto links = image.at(image.init_process(), "task_struct", "tasks");
         image.builder().put(links.plus_wrapping(8), links.raw());
       }},
      {"self-check routing socket: init_net.rtnl is no netlink socket of init_net", kBad,
       [](CheckedImage &image) { image.set(image.routing(), "sock_common", "skc_family", 2); }},
      {"self-check routing socket: init_net.rtnl is no netlink socket of init_net", kBad,
       [](CheckedImage &image) { image.set(image.routing(), "sock_common", "skc_net.net", 64); }},
      {"self-check routing socket: init_net.rtnl cannot be read", kBad,
       [](CheckedImage &image) { image.set(image.init_net(), "net", "count", 0x1000); }},
      {"self-check jiffies: jiffies_64 is below where every kernel starts to count", kBad,
       [](CheckedImage &image) { image.builder().put(image.jiffies(), std::uint64_t{12345}); }},
  };
  for (const auto &[reason, state, spoil] : cases) {
    CheckedImage image;
    spoil(image);
    const auto checked = image.check();
    ASSERT_FALSE(checked) << reason;
    EXPECT_EQ(checked.error().what, reason);
    EXPECT_EQ(checked.error().state, state) << reason;
  }
}

TEST(SelfCheck, WhatAKernelLacksIsNotChecked) {
  LinuxImage image; // no init_uts_ns, no jiffies_64, no net.rtnl
  EXPECT_TRUE(LinuxGuest::attach(image.kernel()).value().self_check());
}

} // namespace
} // namespace outguard::guest
