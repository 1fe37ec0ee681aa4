#include "sensor/sandbox.h"

#include <array>
#include <cerrno>
#include <memory>

#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace outguard::sensor {

namespace {

constexpr unsigned kNobody = 65534;

Result<void> close_others(int keep) {
  const auto low = static_cast<unsigned>(keep);
  if ((low > 3 && ::close_range(3, low - 1, 0) != 0) || ::close_range(low + 1, ~0U, 0) != 0) {
    return fail_errno("close_range");
  }
  return {};
}

Result<void> set_limits(Role role) {
  // Private writable memory: the caches, flow table and buffers of one VM, or a compile of 10M
  // indicators. Mapped guest RAM and rings do not count here.
  const rlim_t data = role == Role::Guard ? rlim_t{1} << 30 : rlim_t{8} << 30;
  const std::pair<__rlimit_resource, rlim_t> limits[] = {
      {RLIMIT_DATA, data}, {RLIMIT_CORE, 0}, {RLIMIT_NPROC, 0}};
  for (const auto &[resource, value] : limits) {
    const rlimit limit{value, value};
    if (::setrlimit(resource, &limit) != 0) {
      return fail_errno("setrlimit");
    }
  }
  return {};
}

/// Only root can; a sensor started by hand on files has no privilege to give up.
Result<void> become_nobody(SandboxGaps &gaps) {
  if (::geteuid() != 0) {
    gaps.emplace_back("not started as root: keeps the caller's user and network namespace");
    return {};
  }
  if (::unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0) {
    gaps.emplace_back("no new network namespace");
  }
  if (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
      ::setresuid(kNobody, kNobody, kNobody) != 0) {
    return fail_errno("setresuid to nobody");
  }
  return {};
}

/// A Landlock ruleset that handles every access to files and allows none.
void leave_file_system(SandboxGaps &gaps) {
  const long abi =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1) {
    gaps.emplace_back("no Landlock in this kernel");
    return;
  }
  landlock_ruleset_attr rules{};
  rules.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1; // all of ABI 1
  if (abi >= 2) {
    rules.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
  }
  const long fd = ::syscall(SYS_landlock_create_ruleset, &rules, sizeof rules.handled_access_fs, 0);
  if (fd < 0 || ::syscall(SYS_landlock_restrict_self, fd, 0) != 0) {
    gaps.emplace_back("Landlock refused the ruleset");
  }
  if (fd >= 0) {
    ::close(static_cast<int>(fd));
  }
}

using Filter = std::unique_ptr<void, decltype(&seccomp_release)>;

Result<void> filter_system_calls(Role role, int control) {
  const Filter filter(seccomp_init(SCMP_ACT_KILL_PROCESS), &seccomp_release);
  if (!filter) {
    return fail(ErrorCode::SystemFailed, "seccomp_init failed");
  }
  // Reading handles, memory of its own, time, ending. No open, no socket, no exec, no clone, no
  // ptrace, no ioctl, no signal to anybody.
  constexpr std::array kAllowed{SCMP_SYS(read),
                                SCMP_SYS(pread64),
                                SCMP_SYS(poll),
                                SCMP_SYS(ppoll),
                                SCMP_SYS(close),
                                SCMP_SYS(fstat),
                                SCMP_SYS(newfstatat),
                                SCMP_SYS(lseek),
                                SCMP_SYS(munmap),
                                SCMP_SYS(mremap),
                                SCMP_SYS(brk),
                                SCMP_SYS(madvise),
                                SCMP_SYS(futex),
                                SCMP_SYS(getrandom),
                                SCMP_SYS(clock_gettime),
                                SCMP_SYS(gettimeofday),
                                SCMP_SYS(clock_nanosleep),
                                SCMP_SYS(rt_sigreturn),
                                SCMP_SYS(getpid),
                                SCMP_SYS(gettid),
                                SCMP_SYS(rt_sigprocmask),
                                SCMP_SYS(exit),
                                SCMP_SYS(exit_group),
                                SCMP_SYS(restart_syscall)};
  int status = 0;
  for (const int call : kAllowed) {
    status |= seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0);
  }
  const auto allow_if = [&](int call, const scmp_arg_cmp &condition) {
    status |= seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, call, 1, &condition);
  };
  // Messages on the control socket only: a packet ring is a raw socket of the host's, and whoever
  // may send on it sends any frame on any device.
  const auto control_socket = static_cast<scmp_datum_t>(control);
  allow_if(SCMP_SYS(sendmsg), {0, SCMP_CMP_EQ, control_socket, 0});
  allow_if(SCMP_SYS(recvmsg), {0, SCMP_CMP_EQ, control_socket, 0});
  if (role == Role::CompileIntel) {
    status |= seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(write), 0); // the image
  }
  // Memory may be mapped and protected, never made executable.
  const scmp_arg_cmp not_executable{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0};
  allow_if(SCMP_SYS(mmap), not_executable);
  allow_if(SCMP_SYS(mprotect), not_executable);
  // Is the intelligence image sealed?
  allow_if(SCMP_SYS(fcntl), {1, SCMP_CMP_EQ, F_GET_SEALS, 0});
  // Counters of the packet ring, and whether its device failed.
  allow_if(SCMP_SYS(getsockopt), {1, SCMP_CMP_EQ, SOL_PACKET, 0});
  const scmp_arg_cmp last_error[] = {{1, SCMP_CMP_EQ, SOL_SOCKET, 0},
                                     {2, SCMP_CMP_EQ, SO_ERROR, 0}};
  status |=
      seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(getsockopt), 2, last_error);
  if (status != 0 || seccomp_load(filter.get()) != 0) {
    return fail(ErrorCode::SystemFailed, "this kernel refuses the seccomp filter");
  }
  return {};
}

} // namespace

Result<SandboxGaps> enter_sandbox(Role role, int keep) {
  SandboxGaps gaps;
  auto done = close_others(keep).and_then([&] { return set_limits(role); }).and_then([&] {
    return become_nobody(gaps);
  });
  if (!done) {
    return tl::unexpected(done.error());
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return fail_errno("prctl");
  }
  leave_file_system(gaps);
  // Standard error is the supervisor's terminal or journal: nothing that a guest could take over
  // holds it.
  if (::dup2(STDIN_FILENO, STDERR_FILENO) < 0) {
    return fail_errno("dup2");
  }
  done = filter_system_calls(role, keep);
  if (!done) {
    return tl::unexpected(done.error());
  }
  return gaps;
}

} // namespace outguard::sensor
