#include "hypervisor/network_namespace.h"

#include <cerrno>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hypervisor/process_directory.h"

namespace outguard::hypervisor {

Result<Fd> open_tap_namespace(const VmFound &vm, const TapFound &tap) {
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, vm.pid, 0)));
  if (!process) {
    return errno == ESRCH ? fail(ErrorCode::NotFound, "the VM's process is gone")
                          : fail_errno("pidfd_open");
  }
  // The descriptor above was opened by number: only now is it known whose it is.
  const auto directory = ProcessDirectory::open(vm.pid);
  const auto started = directory ? directory->start_time() : tl::unexpected(directory.error());
  if (!started || *started != vm.start_time) {
    return fail(ErrorCode::NotFound, "the VM's process is gone");
  }
  const Fd tun(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), tap.qemu_fd, 0)));
  if (!tun) {
    return fail_errno("take QEMU's descriptor of tap " + tap.name);
  }
  struct ifreq request {};
  if (::ioctl(tun.get(), TUNGETIFF, &request) != 0 || tap.name != request.ifr_name) {
    return fail(ErrorCode::NotFound, "QEMU no longer holds tap " + tap.name);
  }
  Fd netns(::ioctl(tun.get(), TUNGETDEVNETNS));
  if (!netns) {
    return fail_errno("network namespace of tap " + tap.name);
  }
  return netns;
}

Result<Fd> open_own_namespace() {
  Fd netns(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!netns) {
    return fail_errno("/proc/thread-self/ns/net");
  }
  return netns;
}

Result<std::uint64_t> namespace_inode(const Fd &netns) {
  struct stat status {};
  if (::fstat(netns.get(), &status) != 0) {
    return fail_errno("stat a network namespace");
  }
  return status.st_ino;
}

Result<void> run_in_namespace(const Fd &netns, const std::function<void()> &work) {
  Result<void> entered;
  try {
    std::thread([&] {
      if (::setns(netns.get(), CLONE_NEWNET) != 0) {
        entered = fail_errno("enter a network namespace");
        return;
      }
      work();
    }).join();
  } catch (const std::system_error &error) {
    return fail(ErrorCode::SystemFailed, std::string("start a thread: ") + error.what());
  }
  return entered;
}

} // namespace outguard::hypervisor
