#include <gtest/gtest.h>

#include "guest/linux/linux_guest.h"
#include "guest/testing/linux_image.h"

namespace outguard::guest {
namespace {

struct ProcessContextTest : testing::Test {
  ProcessSeen see() { return LinuxGuest::attach(image.kernel())->describe(kPid).value().process; }
  void set_cred(std::string_view member, std::uint64_t value) {
    image.set(GuestVirtual(image.get(task, "task_struct", "real_cred")), "cred", member, value);
  }
  /// A namespace of the task's own.
  void set_namespace(std::string_view pointer, std::string_view type, std::uint32_t inode) {
    const GuestVirtual space = image.builder().allocate(16);
    image.set(space, type, "ns.inum", inode);
    image.set(GuestVirtual(image.get(task, "task_struct", "nsproxy")), "nsproxy", pointer,
              space.raw());
  }
  void put_into(GuestVirtual css_set) { image.set(task, "task_struct", "cgroups", css_set.raw()); }

  static constexpr std::int32_t kPid = 42;
  LinuxImage image;
  GuestVirtual task = image.add_process({.pid = kPid});
};

TEST_F(ProcessContextTest, AllIdsAndCapabilitySets) {
  std::uint64_t value = 1001;
  for (const char *id : {"uid.val", "euid.val", "suid.val", "fsuid.val", "gid.val", "egid.val",
                         "sgid.val", "fsgid.val"}) {
    set_cred(id, value++);
  }
  value = 0x1'0000'0001;
  for (const char *set :
       {"cap_inheritable", "cap_permitted", "cap_effective", "cap_bset", "cap_ambient"}) {
    set_cred(set, value++);
  }
  EXPECT_EQ(see().credentials,
            (Credentials{1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 0x1'0000'0001,
                         0x1'0000'0002, 0x1'0000'0003, 0x1'0000'0004, 0x1'0000'0005}));
}

TEST_F(ProcessContextTest, EveryNamespace) {
  set_namespace("mnt_ns", "mnt_namespace", 1);
  set_namespace("ipc_ns", "ipc_namespace", 2);
  set_namespace("uts_ns", "uts_namespace", 3);
  set_namespace("cgroup_ns", "cgroup_namespace", 4);
  set_namespace("time_ns", "time_namespace", 5);
  set_namespace("pid_ns_for_children", "pid_namespace", 6); // its children's, not its own
  const NamespacesSeen expected{.mnt = 1,
                                .pid = LinuxImage::kInitialNamespace + 2,
                                .net = LinuxImage::kInitialNamespace,
                                .ipc = 2,
                                .uts = 3,
                                .user = LinuxImage::kInitialNamespace + 1,
                                .cgroup = 4,
                                .time = 5};
  EXPECT_EQ(see().namespaces, expected);
}

TEST_F(ProcessContextTest, OnlyTheFirstNamespacesAreRemembered) {
  const GuestVirtual first(0xffff'ffff'9300'0000); // a variable of the kernel
  const GuestVirtual made = image.builder().allocate(16);
  const GuestVirtual proxy(image.get(task, "task_struct", "nsproxy"));
  image.set(proxy, "nsproxy", "uts_ns", first.raw());
  image.set(proxy, "nsproxy", "ipc_ns", made.raw());
  const auto number = [&](std::uint32_t value) {
    image.set(first, "uts_namespace", "ns.inum", value);
    image.set(made, "ipc_namespace", "ns.inum", value);
  };
  number(0);
  auto guest = LinuxGuest::attach(image.kernel()).value();
  const auto namespaces = [&] { return guest.describe(kPid).value().process.namespaces; };
  EXPECT_EQ(namespaces().uts, 0U);
  number(7); // a guest that was still booting
  EXPECT_EQ(namespaces().uts, 7U);
  number(8);
  EXPECT_EQ(namespaces().uts, 7U); // was not read again: the kernel never changes it
  EXPECT_EQ(namespaces().ipc, 8U); // another one's by now
}

TEST_F(ProcessContextTest, ThePidOfTheInnermostNamespace) {
  EXPECT_EQ(see().namespace_pid, kPid);
  image.nest_pid(task, 7, 111);
  image.nest_pid(task, 1, 222);
  const auto seen = see();
  EXPECT_EQ(seen.identity.pid, kPid);
  EXPECT_EQ(seen.namespace_pid, 1);
  EXPECT_EQ(seen.namespaces.pid, 222U);
}

TEST_F(ProcessContextTest, APidOfTooManyLevelsIsUnknown) {
  const GuestVirtual pid(image.get(task, "task_struct", "thread_pid"));
  image.set(pid, "pid", "level", 33);
  EXPECT_EQ(see().namespace_pid, std::nullopt);
  EXPECT_EQ(see().namespaces.pid, std::nullopt);
}

TEST_F(ProcessContextTest, WhatHasLeftItsNamespacesShowsNone) {
  image.set(task, "task_struct", "nsproxy", 0);
  EXPECT_EQ(see().namespaces.net, std::nullopt);
  EXPECT_TRUE(see().namespaces.user && see().namespaces.pid); // they do not hang on nsproxy
}

TEST_F(ProcessContextTest, TheCgroupNamesContainerAndUnit) {
  const std::string id(64, 'a');
  put_into(image.add_cgroup("/system.slice/docker-" + id + ".scope"));
  const auto seen = see();
  EXPECT_EQ(seen.cgroup.value().raw(), "/system.slice/docker-" + id + ".scope");
  EXPECT_EQ(seen.container.value().raw(), id);
  EXPECT_EQ(seen.unit.value().raw(), "docker-" + id + ".scope");
}

TEST_F(ProcessContextTest, InNoContainerIsNotUnknown) {
  const auto seen = see();
  EXPECT_EQ(seen.cgroup.value().raw(), "/");
  EXPECT_TRUE(seen.container.value().empty() && seen.unit.value().empty());
}

TEST_F(ProcessContextTest, SystemdsHierarchyWhereTheUnifiedOneIsNotUsed) {
  const GuestVirtual css_set = image.add_cgroup("/");
  image.add_systemd_cgroup(css_set, "/system.slice/cron.service");
  put_into(css_set);
  EXPECT_EQ(see().cgroup.value().raw(), "/system.slice/cron.service");
  EXPECT_EQ(see().unit.value().raw(), "cron.service");
  const GuestVirtual unified = image.add_cgroup("/user.slice");
  image.add_systemd_cgroup(unified, "/other.slice");
  put_into(unified);
  EXPECT_EQ(see().cgroup.value().raw(), "/user.slice");
}

TEST_F(ProcessContextTest, ACgroupThatCannotBeReadIsUnknown) {
  const auto expect_unknown = [&](const char *why) {
    const auto seen = see();
    EXPECT_FALSE(seen.cgroup || seen.container || seen.unit) << why;
    EXPECT_FALSE(seen.torn) << why;
  };
  put_into(GuestVirtual{});
  expect_unknown("no css_set");
  put_into(GuestVirtual{0xdead'0000});
  expect_unknown("a wild css_set");
  const GuestVirtual css_set = image.add_cgroup("/a/b");
  put_into(css_set);
  const GuestVirtual cgroup(image.get(css_set, "css_set", "dfl_cgrp"));
  const GuestVirtual node(image.get(cgroup, "cgroup", "kn"));
  image.set(node, "kernfs_node", "parent", node.raw());
  expect_unknown("a circle");
  image.set(node, "kernfs_node", "name", 0xdead'0000);
  expect_unknown("a wild name");
  put_into(image.add_cgroup("/" + std::string(256, 'x')));
  expect_unknown("a name that is too long");
  std::string deep;
  while (deep.size() < 4096) {
    deep += "/" + std::string(200, 'x');
  }
  put_into(image.add_cgroup(deep));
  expect_unknown("a path that is too long");
}

TEST_F(ProcessContextTest, AKernelWithoutAMemberLosesThatAndNothingElse) {
  put_into(image.add_cgroup("/a"));
  image.types().remove_member("cred", "cap_ambient");
  image.types().remove_member("nsproxy", "time_ns");
  image.types().remove_member("upid", "nr");
  auto seen = see();
  EXPECT_EQ(seen.credentials, std::nullopt);
  EXPECT_EQ(seen.namespaces.user, std::nullopt);
  EXPECT_EQ(seen.namespaces.time, std::nullopt);
  EXPECT_EQ(seen.namespaces.net, LinuxImage::kInitialNamespace);
  EXPECT_EQ(seen.namespace_pid, std::nullopt);
  EXPECT_EQ(seen.cgroup.value().raw(), "/a");
  image.types().remove_type("kernfs_node");
  EXPECT_EQ(see().cgroup, std::nullopt);
}

TEST_F(ProcessContextTest, TheParentOfACgroupWasRenamed) {
  put_into(image.add_cgroup("/a/b"));
  const auto parent = image.types().member("kernfs_node", "parent").value();
  image.types().remove_member("kernfs_node", "parent");
  image.types().add_member("kernfs_node", "__parent", parent);
  EXPECT_EQ(see().cgroup.value().raw(), "/a/b");
}

} // namespace
} // namespace outguard::guest
