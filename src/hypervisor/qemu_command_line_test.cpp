#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hypervisor/qemu_command_line.h"

namespace outguard::hypervisor {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

QemuCommandLine parse(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "qemu-system-x86_64");
  return parse_command_line(arguments);
}

TEST(QemuCommandLine, TakesNameInBothFormsAndUnescapesCommas) {
  EXPECT_EQ(parse({"-name", "web1"}).name, "web1");
  EXPECT_EQ(parse({"-name", "guest=a,,b,debug-threads=on"}).name, "a,b");
  EXPECT_EQ(parse({"-name", "web1,process=x"}).name, "web1");
  EXPECT_EQ(parse({"--name", "web1"}).name, "web1");
}

TEST(QemuCommandLine, TakesOnlyAUuidForAUuid) {
  EXPECT_EQ(parse({"-uuid", "6F9619FF-8B86-D011-B42D-00C04FC964FF"}).uuid,
            "6f9619ff-8b86-d011-b42d-00c04fc964ff");
  EXPECT_EQ(parse({"-uuid", "../../etc/passwd-8B86-D011-B42D-00C04"}).uuid, "");
  EXPECT_EQ(parse({"-uuid", "6f9619ff-8b86-d011-b42d-00c04fc964fg"}).uuid, "");
}

TEST(QemuCommandLine, FindsQmpSocketsInAllForms) {
  EXPECT_THAT(parse({"-qmp", "unix:/run/q.sock,server=on,wait=off"}).qmp_paths,
              ElementsAre("/run/q.sock"));
  EXPECT_THAT(
      parse({"-chardev", "socket,id=m,path=/run/a,,b,server=on", "-mon", "chardev=m,mode=control"})
          .qmp_paths,
      ElementsAre("/run/a,b"));
  EXPECT_THAT(parse({"-mon", "m,mode=control", "-chardev", "socket,id=m,path=q"}).qmp_paths,
              ElementsAre("q"));
  EXPECT_THAT(
      parse({"-chardev", "socket,id=m,path=q", "-mon", "chardev=m,mode=readline"}).qmp_paths,
      IsEmpty());
}

TEST(QemuCommandLine, SaysWhyAMonitorCannotBeUsed) {
  EXPECT_THAT(parse({"-qmp", "tcp:127.0.0.1:4444,server=on"}).gaps,
              ElementsAre(HasSubstr("not a Unix socket")));
  const auto libvirt =
      parse({"-chardev", "socket,id=m,fd=30,server=on", "-mon", "chardev=m,mode=control"});
  EXPECT_THAT(libvirt.qmp_paths, IsEmpty());
  EXPECT_THAT(libvirt.gaps, ElementsAre(HasSubstr("descriptor")));
}

TEST(QemuCommandLine, FreeTextIsNoOption) {
  const auto line = parse({"-append", "-uuid", "-name", "-x", "-S", "-m", "1G"});
  EXPECT_EQ(line.uuid, "");
  EXPECT_EQ(line.name, "-x");
  EXPECT_EQ(line.memory_bytes, 1ULL << 30);
}

TEST(QemuCommandLine, ReadsMachineAcceleratorAndMemory) {
  const auto line = parse({"-M", "q35,accel=kvm", "-m", "size=512,slots=2"});
  EXPECT_EQ(line.machine, "q35");
  EXPECT_EQ(line.accel, "kvm");
  EXPECT_EQ(line.memory_bytes, 512ULL << 20);
  EXPECT_EQ(parse({"-accel", "tcg,thread=multi"}).accel, "tcg");
  EXPECT_FALSE(parse({"-m", "99999999999999999999"}).memory_bytes);
  EXPECT_FALSE(parse({"-m", "9999999999999T"}).memory_bytes);
  EXPECT_FALSE(parse({"-M", "pc"}).most_ram_below_4g);
  EXPECT_EQ(parse({"-M", "pc,max-ram-below-4g=1G"}).most_ram_below_4g, 1ULL << 30);
  EXPECT_EQ(parse({"-M", "pc,max-ram-below-4g=2147483648"}).most_ram_below_4g, 1ULL << 31);
  EXPECT_EQ(parse({"-numa", "node,memdev=a", "-numa", "node,memdev=b", "-numa", "cpu,node-id=0"})
                .numa_backends,
            2U);
}

TEST(QemuCommandLine, ListsTapsAndCardsWithoutOne) {
  const auto line = parse({"-netdev", "tap,id=n0,ifname=tap0,script=no", "-nic", "tap,ifname=tap1",
                           "-netdev", "user,id=n1", "-net", "nic"});
  EXPECT_THAT(line.tap_names, ElementsAre("tap0", "tap1"));
  EXPECT_THAT(line.gaps, ElementsAre(HasSubstr("type user")));
}

TEST(QemuCommandLine, SplitsArgumentsWithAndWithoutTheLastNul) {
  using namespace std::string_view_literals;
  EXPECT_THAT(split_arguments("a\0\0b\0"sv), ElementsAre("a", "", "b"));
  EXPECT_THAT(split_arguments("a\0b"sv), ElementsAre("a", "b"));
  EXPECT_THAT(split_arguments(""), IsEmpty());
}

TEST(QemuCommandLine, KnowsEmulatorsByName) {
  EXPECT_TRUE(is_qemu_name("/usr/bin/qemu-system-x86_64"));
  EXPECT_TRUE(is_qemu_name("/usr/bin/qemu-system-x86_64 (deleted)"));
  EXPECT_TRUE(is_qemu_name("kvm"));
  EXPECT_FALSE(is_qemu_name("/usr/bin/qemu-img"));
  EXPECT_FALSE(is_qemu_name("/qemu-system-x86_64/sh"));
}

} // namespace
} // namespace outguard::hypervisor
