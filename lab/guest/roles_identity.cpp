// Processes with ids, capabilities, namespaces and cgroups of their own. They hold no socket.

#include <cstdlib>

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"

namespace lab {
namespace {

void set_capabilities(unsigned long long set) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  for (unsigned word = 0; word < 2; ++word) {
    const auto bits = static_cast<unsigned>(set >> 32 * word);
    data[word] = {bits, bits, word == 0 ? bits & 0xff : 0}; // inherited: the lowest eight
  }
  if (syscall(SYS_capset, &header, data) != 0)
    fail("capset");
}

// ID CAPS: real ID, effective ID+1, saved ID+2, file system ID+3 for users, +10 for groups; the
// capabilities of the hexadecimal mask are permitted and effective, its lowest eight inheritable,
// bit 0 ambient; CAP_SYS_BOOT (22) leaves the bounding set.
int several_ids(const Arguments &arguments) {
  const auto id = static_cast<unsigned>(parse_number(arguments.at(0)));
  const unsigned long long set = std::strtoull(arguments.at(1).c_str(), nullptr, 16);
  if (prctl(PR_CAPBSET_DROP, 22) != 0 || prctl(PR_SET_KEEPCAPS, 1) != 0 ||
      setgroups(0, nullptr) != 0)
    fail("prctl");
  if (setresgid(id + 10, id + 11, id + 12) != 0 || setresuid(id, id + 1, id + 2) != 0)
    fail("setresuid");
  set_capabilities(set | 1ull << CAP_SETUID | 1ull << CAP_SETGID);
  setfsgid(id + 13);
  setfsuid(id + 3); // takes the file capabilities (bits 0 to 4, 9) out of the effective set
  set_capabilities(set);
  if ((set & 1) != 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 0, 0, 0) != 0)
    fail("ambient");
  stay_ready();
}

void make_folders(const std::string &path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1))
    mkdir(path.substr(0, slash).c_str(), 0755);
  mkdir(path.c_str(), 0755);
}

void enter_cgroup(const std::string &path) {
  const std::string folder = "/sys/fs/cgroup" + path;
  make_folders(folder);
  const int members = open((folder + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
  if (members < 0 || write(members, "0", 1) != 1)
    fail(folder);
  close(members);
}

// PATH in the cgroup v2 hierarchy.
int in_cgroup(const Arguments &arguments) {
  enter_cgroup(arguments.at(0));
  stay_ready();
}

// The parent stays for ever.
void go_on_in_child() {
  const pid_t child = fork();
  if (child < 0)
    fail("fork");
  if (child > 0)
    stay();
}

// DEPTH: a process that many pid namespaces below this one; each level has one process.
int nested_pids(const Arguments &arguments) {
  for (long depth = parse_number(arguments.at(0)); depth > 0; --depth) {
    if (unshare(CLONE_NEWPID) != 0)
      fail("unshare");
    go_on_in_child();
  }
  stay_ready();
}

// PATH: every namespace of its own, like a container in that cgroup. A parent stays outside.
int own_namespaces(const Arguments &arguments) {
  enter_cgroup(arguments.at(0));
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET |
              CLONE_NEWPID | CLONE_NEWCGROUP) != 0)
    fail("unshare");
  go_on_in_child();
  stay_ready();
}

} // namespace

std::vector<Role> identity_roles() {
  return {
      {"several-ids", "ID CAPABILITIES", several_ids},
      {"in-cgroup", "PATH", in_cgroup},
      {"nested-pids", "DEPTH", nested_pids},
      {"own-namespaces", "CGROUP", own_namespaces},
  };
}

} // namespace lab
