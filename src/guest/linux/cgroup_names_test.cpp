#include <gtest/gtest.h>

#include "guest/linux/cgroup_names.h"

namespace outguard::guest {
namespace {

const std::string kId = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const std::string kOther(64, 'f');

TEST(CgroupNames, Containers) {
  const std::pair<std::string, std::string> cases[] = {
      {"/docker/" + kId, kId},
      {"/docker/" + kId + "/init.scope", kId},
      {"/system.slice/docker-" + kId + ".scope", kId},
      {"/docker/" + kOther + "/docker/" + kId, kId}, // Docker in Docker
      {"/system.slice/nerdctl-" + kId + ".scope", kId},
      {"/default/" + kId, kId},
      {"/kubepods/burstable/pod1c6bca9f-2f5f-4bd0-b45e-5a2b5b0e7f0a/" + kId, kId},
      {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1c6b.slice/"
       "cri-containerd-" +
           kId + ".scope",
       kId},
      {"/kubepods.slice/kubepods-pod1c6b.slice/crio-" + kId + ".scope/container", kId},
      {"/kubepods.slice/kubepods-pod1c6b.slice/crio-conmon-" + kId + ".scope", ""},
      {"/system.slice/containerd.service/kubepods-pod1c6b.slice:cri-containerd:" + kId, kId},
      {"/machine.slice/libpod-" + kId + ".scope/container", kId},
      {"/machine.slice/libpod-conmon-" + kId + ".scope", ""},
      {"/machine.slice/machine-libpod_pod_" + kOther + ".slice/libpod-" + kId + ".scope", kId},
      {"/machine.slice/machine-libpod_pod_" + kOther + ".slice", ""},
      {"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + kId + ".scope", kId},
      {"/libpod_parent/libpod-" + kId, kId},
      {"/libpod_parent/conmon", ""},
      {"/docker/" + kOther + "/libpod-conmon-" + kId + ".scope", kOther},
      {"/lxc/web", "web"},
      {"/lxc/101/ns/system.slice/cron.service", "101"},
      {"/lxc/101/ns/docker/" + kId, kId},
      {"/lxc.payload/web/init.scope", "web"},
      {"/lxc.payload.web/system.slice", "web"},
      {"/lxc.payload.outer/lxc.payload.inner", "inner"},
      {"/lxc.monitor.web", ""},
      {"/lxc.monitor/web", ""},
      {"/lxc.payload.", ""},
      {"/lxc", ""},
      {"/", ""},
      {"", ""},
      {"//", ""},
      {"/docker", ""},
      {"/docker/" + kId.substr(1), ""},
      {"/docker/" + kId + "0", ""},
      {"/docker/" + std::string(64, 'A'), ""},
      {"/docker/" + std::string(64, 'g'), ""},
      {"/system.slice/ssh.service", ""},
      {"/lxc/\x1b[31m\xff", "\x1b[31m\xff"}, // stays text
      {"docker/" + kId, kId},
  };
  for (const auto &[path, container] : cases) {
    EXPECT_EQ(container_of_cgroup(path), container) << path;
  }
}

TEST(CgroupNames, Units) {
  const std::pair<std::string, std::string> cases[] = {
      {"/system.slice/ssh.service", "ssh.service"},
      {"/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"},
      {"/init.scope", "init.scope"},
      {"/user.slice/user-1000.slice/session-3.scope", "session-3.scope"},
      {"/user.slice/user-1000.slice/user@1000.service/app.slice/dbus.service", "dbus.service"},
      {"/user.slice/user-1000.slice/user@1000.service/init.scope", "init.scope"},
      {"/system.slice/docker-" + kId + ".scope", "docker-" + kId + ".scope"},
      {"/docker/" + kId + "/system.slice/nginx.service/worker", "nginx.service"},
      {"/system.slice/_cpu.service", "cpu.service"},
      {"/system.slice", ""},
      {"/docker/" + kId, ""},
      {"/.service", ""},
      {"/", ""},
      {"", ""},
      {"/a\n\xff.service", "a\n\xff.service"}, // stays text
  };
  for (const auto &[path, unit] : cases) {
    EXPECT_EQ(unit_of_cgroup(path), unit) << path;
  }
}

} // namespace
} // namespace outguard::guest
