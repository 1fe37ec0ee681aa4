#include "sensor/sandbox.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "sandbox/system_call_filter.h"

namespace outguard::sensor {

namespace {

using sandbox::SystemCallFilter;

Result<void> set_limits(Role role, const HoldSlots &held) {
  // Private writable memory: the caches, flow table and buffers of one VM, or a compile of 10M
  // indicators, or one archive's compressor. Mapped guest RAM and rings do not count here.
  const rlim_t data = role == Role::Guard          ? rlim_t{1} << 30
                      : role == Role::CompileIntel ? rlim_t{8} << 30
                                                   : rlim_t{256} << 20;
  if (held.taps() != 0) { // nothing more can come where frames may be sent
    if (auto limited = sandbox::set_limits({{RLIMIT_NOFILE, HoldSlots::kFirst}}); !limited) {
      return limited;
    }
  }
  return sandbox::set_limits({{RLIMIT_DATA, data}, {RLIMIT_CORE, 0}, {RLIMIT_NPROC, 0}});
}

/// Held frames come from one socket of a tap and go back by the others.
void allow_held_frames(SystemCallFilter &filter, const HoldSlots &held) {
  for (std::size_t tap = 0; tap < held.taps(); ++tap) {
    for (std::size_t which = 0; which < kHoldDescriptors; ++which) {
      const auto place = static_cast<scmp_datum_t>(held.descriptor(tap, which));
      if (which == kHoldReceive) {
        filter.allow_if(SCMP_SYS(recvmsg), {{0, SCMP_CMP_EQ, place, 0}});
      } else if (which >= kHoldAnswers) {
        filter.allow_if(SCMP_SYS(writev), {{0, SCMP_CMP_EQ, place, 0}});
      }
    }
  }
}

Result<void> filter_system_calls(Role role, int control, const HoldSlots &held) {
  SystemCallFilter filter(SCMP_ACT_KILL_PROCESS);
  // Reading handles, memory of its own, time, ending. No open, no socket, no exec, no clone, no
  // ptrace, no ioctl, no signal to anybody.
  filter.allow({SCMP_SYS(read),
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
                SCMP_SYS(restart_syscall)});
  // Messages on the control socket only: a packet ring is a raw socket of the host's, and whoever
  // may send on it sends any frame on any device.
  const auto control_socket = static_cast<scmp_datum_t>(control);
  filter.allow_if(SCMP_SYS(sendmsg), {{0, SCMP_CMP_EQ, control_socket, 0}});
  filter.allow_if(SCMP_SYS(recvmsg), {{0, SCMP_CMP_EQ, control_socket, 0}});
  if (role != Role::Guard) {
    filter.allow({SCMP_SYS(write)}); // the image, the archive
  }
  allow_held_frames(filter, held);
  filter.allow_mapping_without_execution();
  // Is the intelligence image sealed?
  filter.allow_if(SCMP_SYS(fcntl), {{1, SCMP_CMP_EQ, F_GET_SEALS, 0}});
  // Counters of the packet ring, and whether its device failed.
  filter.allow_if(SCMP_SYS(getsockopt), {{1, SCMP_CMP_EQ, SOL_PACKET, 0}});
  filter.allow_if(SCMP_SYS(getsockopt),
                  {{1, SCMP_CMP_EQ, SOL_SOCKET, 0}, {2, SCMP_CMP_EQ, SO_ERROR, 0}});
  return filter.load();
}

} // namespace

Result<sandbox::Gaps> enter_sandbox(Role role, int keep, const HoldSlots &held) {
  sandbox::Gaps gaps;
  auto done = (held.taps() == 0 ? sandbox::close_all_but(keep) : Result<void>())
                  .and_then([&] { return set_limits(role, held); })
                  .and_then([&] {
                    return sandbox::become_nobody(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS, gaps);
                  })
                  .and_then([] { return sandbox::seal_privileges(); });
  if (!done) {
    return tl::unexpected(done.error());
  }
  sandbox::leave_file_system({}, gaps);
  done = sandbox::leave_terminal().and_then([&] { return filter_system_calls(role, keep, held); });
  if (!done) {
    return tl::unexpected(done.error());
  }
  return gaps;
}

} // namespace outguard::sensor
