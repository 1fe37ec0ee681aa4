#include "fetch/sandbox.h"

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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

namespace outguard::fetch {

namespace {

constexpr unsigned kNobody = 65534;

/// What resolving a name and checking a certificate read. Keys of the host's own are not among
/// them.
constexpr const char *kReadable[] = {"/etc/resolv.conf",
                                     "/etc/hosts",
                                     "/etc/host.conf",
                                     "/etc/gai.conf",
                                     "/etc/nsswitch.conf",
                                     "/etc/services",
                                     "/etc/ssl/openssl.cnf",
                                     "/etc/ssl/certs",
                                     "/usr/share/ca-certificates",
                                     "/usr/local/share/ca-certificates"};

Result<void> set_limits() {
  const std::pair<__rlimit_resource, rlim_t> limits[] = {
      {RLIMIT_DATA, rlim_t{2} << 30},                        // a page of 64 MiB and its parse
      {RLIMIT_FSIZE, (rlim_t{1} << 30) + (rlim_t{1} << 20)}, // the feed, whatever else fails
      {RLIMIT_NOFILE, 64},
      {RLIMIT_CPU, 600},
      {RLIMIT_CORE, 0}};
  for (const auto &[resource, value] : limits) {
    const rlimit limit{value, value};
    if (::setrlimit(resource, &limit) != 0) {
      return fail_errno("setrlimit");
    }
  }
  return {};
}

/// Only root can; the command started by hand has no privilege to give up.
Result<void> become_nobody(SandboxGaps &gaps) {
  if (::geteuid() != 0) {
    gaps.emplace_back("not started as root: keeps the caller's user");
    return {};
  }
  if (::unshare(CLONE_NEWIPC | CLONE_NEWUTS) != 0) {
    gaps.emplace_back("no new IPC namespace");
  }
  if (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
      ::setresuid(kNobody, kNobody, kNobody) != 0) {
    return fail_errno("setresuid to nobody");
  }
  return {};
}

/// A path that is not there needs no rule.
bool allow_reading(int rules, const char *path) {
  const Fd place(::open(path, O_PATH | O_CLOEXEC));
  struct stat about {};
  if (!place || ::fstat(place.get(), &about) != 0) {
    return true;
  }
  landlock_path_beneath_attr rule{};
  rule.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE;
  if (S_ISDIR(about.st_mode)) {
    rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
  }
  rule.parent_fd = place.get();
  return ::syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

void leave_file_system(SandboxGaps &gaps) {
  const long abi =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1) {
    gaps.emplace_back("no Landlock in this kernel");
    return;
  }
  landlock_ruleset_attr handled{};
  handled.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1; // all of ABI 1
  if (abi >= 2) {
    handled.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
  }
  const Fd rules(static_cast<int>(
      ::syscall(SYS_landlock_create_ruleset, &handled, sizeof handled.handled_access_fs, 0)));
  bool whole = static_cast<bool>(rules);
  for (const char *path : kReadable) {
    whole = whole && allow_reading(rules.get(), path);
  }
  if (!whole || ::syscall(SYS_landlock_restrict_self, rules.get(), 0) != 0) {
    gaps.emplace_back("Landlock refused the ruleset");
  }
}

class Filter {
public:
  /// Forbidden calls fail rather than kill: libraries probe for calls that they can do without.
  Filter() : context_(seccomp_init(SCMP_ACT_ERRNO(EPERM)), &seccomp_release) {}

  void allow(int call) { add(SCMP_ACT_ALLOW, call); }
  void allow_if(int call, const scmp_arg_cmp &condition) {
    status_ |=
        context_ ? seccomp_rule_add_array(context_.get(), SCMP_ACT_ALLOW, call, 1, &condition) : -1;
  }
  void add(std::uint32_t action, int call) {
    status_ |= context_ ? seccomp_rule_add(context_.get(), action, call, 0) : -1;
  }
  [[nodiscard]] bool load() { return status_ == 0 && seccomp_load(context_.get()) == 0; }

private:
  std::unique_ptr<void, decltype(&seccomp_release)> context_;
  int status_ = 0;
};

/// What no library probes for: who calls these has been taken over.
void kill_on_attack(Filter &filter) {
  for (const int call : {SCMP_SYS(execve),
                         SCMP_SYS(execveat),
                         SCMP_SYS(fork),
                         SCMP_SYS(vfork),
                         SCMP_SYS(ptrace),
                         SCMP_SYS(process_vm_readv),
                         SCMP_SYS(process_vm_writev),
                         SCMP_SYS(mount),
                         SCMP_SYS(umount2),
                         SCMP_SYS(pivot_root),
                         SCMP_SYS(chroot),
                         SCMP_SYS(setns),
                         SCMP_SYS(unshare),
                         SCMP_SYS(bpf),
                         SCMP_SYS(init_module),
                         SCMP_SYS(finit_module),
                         SCMP_SYS(kexec_load),
                         SCMP_SYS(keyctl),
                         SCMP_SYS(listen),
                         SCMP_SYS(accept),
                         SCMP_SYS(accept4),
                         SCMP_SYS(kill),
                         SCMP_SYS(tkill)}) {
    filter.add(SCMP_ACT_KILL_PROCESS, call);
  }
}

void allow_ordinary_work(Filter &filter) {
  for (const int call : {SCMP_SYS(read),
                         SCMP_SYS(readv),
                         SCMP_SYS(pread64),
                         SCMP_SYS(write),
                         SCMP_SYS(writev),
                         SCMP_SYS(openat),
                         SCMP_SYS(open),
                         SCMP_SYS(close),
                         SCMP_SYS(stat),
                         SCMP_SYS(fstat),
                         SCMP_SYS(newfstatat),
                         SCMP_SYS(statx),
                         SCMP_SYS(access),
                         SCMP_SYS(faccessat),
                         SCMP_SYS(readlink),
                         SCMP_SYS(getdents64),
                         SCMP_SYS(lseek),
                         SCMP_SYS(ftruncate),
                         SCMP_SYS(poll),
                         SCMP_SYS(ppoll),
                         SCMP_SYS(select),
                         SCMP_SYS(pselect6),
                         SCMP_SYS(pipe2),
                         SCMP_SYS(eventfd2),
                         SCMP_SYS(munmap),
                         SCMP_SYS(mremap),
                         SCMP_SYS(brk),
                         SCMP_SYS(madvise),
                         SCMP_SYS(futex),
                         SCMP_SYS(getrandom),
                         SCMP_SYS(clock_gettime),
                         SCMP_SYS(gettimeofday),
                         SCMP_SYS(time),
                         SCMP_SYS(clock_nanosleep),
                         SCMP_SYS(nanosleep),
                         SCMP_SYS(rt_sigaction),
                         SCMP_SYS(rt_sigprocmask),
                         SCMP_SYS(rt_sigreturn),
                         SCMP_SYS(getpid),
                         SCMP_SYS(gettid),
                         SCMP_SYS(getuid),
                         SCMP_SYS(geteuid),
                         SCMP_SYS(getgid),
                         SCMP_SYS(getegid),
                         SCMP_SYS(uname),
                         SCMP_SYS(sched_yield),
                         SCMP_SYS(sched_getaffinity),
                         SCMP_SYS(set_robust_list),
                         SCMP_SYS(rseq),
                         SCMP_SYS(exit),
                         SCMP_SYS(exit_group),
                         SCMP_SYS(restart_syscall)}) {
    filter.allow(call);
  }
  // Memory may be mapped and protected, never made executable.
  const scmp_arg_cmp not_executable{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0};
  filter.allow_if(SCMP_SYS(mmap), not_executable);
  filter.allow_if(SCMP_SYS(mprotect), not_executable);
  // Sensors are nobody too: another process is neither signalled (abort() signals its own) nor
  // limited, and owns no descriptor, as whose signal may be any (F_SETOWN, F_SETSIG).
  filter.allow_if(SCMP_SYS(tgkill), {0, SCMP_CMP_EQ, static_cast<scmp_datum_t>(::getpid()), 0});
  filter.allow_if(SCMP_SYS(prlimit64), {0, SCMP_CMP_EQ, 0, 0});
  for (const int command : {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC}) {
    filter.allow_if(SCMP_SYS(fcntl), {1, SCMP_CMP_EQ, static_cast<scmp_datum_t>(command), 0});
  }
  // libcurl looks names up on a thread. clone3 hides its flags in memory: glibc then uses clone.
  filter.allow_if(SCMP_SYS(clone), {0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD});
  filter.add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
}

void allow_network(Filter &filter) {
  for (const int call :
       {SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
        SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(sendto), SCMP_SYS(recvfrom),
        SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg), SCMP_SYS(recvmsg), SCMP_SYS(shutdown),
        SCMP_SYS(socketpair)}) {
    filter.allow(call);
  }
  // Netlink: which addresses this host has, asked before a name is. No socket of a local daemon's.
  constexpr scmp_datum_t kFamilies[] = {AF_INET, AF_INET6, AF_NETLINK};
  for (const auto family : kFamilies) {
    filter.allow_if(SCMP_SYS(socket), {0, SCMP_CMP_EQ, family, 0});
  }
  filter.allow_if(SCMP_SYS(ioctl), {1, SCMP_CMP_EQ, 0x541B /* FIONREAD: a DNS answer's size */, 0});
}

} // namespace

Result<SandboxGaps> enter_sandbox(int keep) {
  SandboxGaps gaps;
  const auto low = static_cast<unsigned>(keep);
  if ((low > 3 && ::close_range(3, low - 1, 0) != 0) || ::close_range(low + 1, ~0U, 0) != 0) {
    return fail_errno("close_range");
  }
  if (auto done = set_limits().and_then([&] { return become_nobody(gaps); }); !done) {
    return tl::unexpected(done.error());
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return fail_errno("prctl");
  }
  leave_file_system(gaps);
  if (::dup2(STDIN_FILENO, STDERR_FILENO) < 0) {
    return fail_errno("dup2");
  }
  Filter filter;
  kill_on_attack(filter);
  allow_ordinary_work(filter);
  allow_network(filter);
  if (!filter.load()) {
    return fail(ErrorCode::SystemFailed, "this kernel refuses the seccomp filter");
  }
  return gaps;
}

} // namespace outguard::fetch
