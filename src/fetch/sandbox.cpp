#include "fetch/sandbox.h"

#include <cerrno>

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/system_call_filter.h"

namespace outguard::fetch {

namespace {

using sandbox::SystemCallFilter;

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

/// A path that is not there needs no rule.
std::vector<Fd> open_readable() {
  std::vector<Fd> places;
  for (const char *path : kReadable) {
    if (Fd place(::open(path, O_PATH | O_CLOEXEC)); place) {
      places.push_back(std::move(place));
    }
  }
  return places;
}

/// What no library probes for: who calls these has been taken over.
void kill_on_attack(SystemCallFilter &filter) {
  filter.kill({SCMP_SYS(execve),
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
               SCMP_SYS(tkill)});
}

void allow_ordinary_work(SystemCallFilter &filter) {
  filter.allow({SCMP_SYS(read),
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
                SCMP_SYS(restart_syscall)});
  filter.allow_mapping_without_execution();
  // Sensors are nobody too: another process is neither signalled (abort() signals its own) nor
  // limited, and owns no descriptor, as whose signal may be any (F_SETOWN, F_SETSIG).
  filter.allow_if(SCMP_SYS(tgkill), {{0, SCMP_CMP_EQ, static_cast<scmp_datum_t>(::getpid()), 0}});
  filter.allow_if(SCMP_SYS(prlimit64), {{0, SCMP_CMP_EQ, 0, 0}});
  for (const int command : {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC}) {
    filter.allow_if(SCMP_SYS(fcntl), {{1, SCMP_CMP_EQ, static_cast<scmp_datum_t>(command), 0}});
  }
  // libcurl looks names up on a thread. clone3 hides its flags in memory: glibc then uses clone.
  filter.allow_if(SCMP_SYS(clone), {{0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD}});
  filter.add(SCMP_ACT_ERRNO(ENOSYS), {SCMP_SYS(clone3)});
}

void allow_network(SystemCallFilter &filter) {
  filter.allow({SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
                SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(sendto), SCMP_SYS(recvfrom),
                SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg), SCMP_SYS(recvmsg), SCMP_SYS(shutdown),
                SCMP_SYS(socketpair)});
  // Netlink: which addresses this host has, asked before a name is. No socket of a local daemon's.
  constexpr scmp_datum_t kFamilies[] = {AF_INET, AF_INET6, AF_NETLINK};
  for (const auto family : kFamilies) {
    filter.allow_if(SCMP_SYS(socket), {{0, SCMP_CMP_EQ, family, 0}});
  }
  constexpr scmp_datum_t kFionread = 0x541B; // a DNS answer's size
  filter.allow_if(SCMP_SYS(ioctl), {{1, SCMP_CMP_EQ, kFionread, 0}});
}

} // namespace

Result<sandbox::Gaps> enter_sandbox(int keep) {
  sandbox::Gaps gaps;
  auto done =
      sandbox::close_all_but(keep)
          .and_then([] {
            return sandbox::set_limits(
                {{RLIMIT_DATA, rlim_t{2} << 30}, // a page of 64 MiB and its parse
                 {RLIMIT_FSIZE,
                  (rlim_t{1} << 30) + (rlim_t{1} << 20)}, // the feed, whatever else fails
                 {RLIMIT_NOFILE, 64},
                 {RLIMIT_CPU, 600},
                 {RLIMIT_CORE, 0}});
          })
          .and_then([&] { return sandbox::become_nobody(CLONE_NEWIPC | CLONE_NEWUTS, gaps); })
          .and_then([] { return sandbox::seal_privileges(); });
  if (!done) {
    return tl::unexpected(done.error());
  }
  sandbox::leave_file_system(open_readable(), gaps);
  // Forbidden calls fail rather than kill: libraries probe for calls that they can do without.
  SystemCallFilter filter(SCMP_ACT_ERRNO(EPERM));
  kill_on_attack(filter);
  allow_ordinary_work(filter);
  allow_network(filter);
  done = sandbox::leave_terminal().and_then([&] { return filter.load(); });
  if (!done) {
    return tl::unexpected(done.error());
  }
  return gaps;
}

} // namespace outguard::fetch
