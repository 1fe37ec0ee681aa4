#include "hypervisor/vm_watch.h"

#include <algorithm>
#include <cerrno>

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hypervisor/process_directory.h"

namespace outguard::hypervisor {

Result<std::vector<VmChange>> VmWatch::next(std::chrono::milliseconds wait, int wake_fd) {
  const auto deadline = monotonic_now() + wait;
  for (;;) {
    auto now = monotonic_now();
    if (now >= next_look_) {
      auto changes = look();
      next_look_ = monotonic_now() + kInterval;
      if (!changes || !changes->empty()) {
        return changes;
      }
      now = monotonic_now();
    }
    if (now >= deadline) {
      return std::vector<VmChange>{};
    }
    std::vector<pollfd> waiting{{wake_fd, POLLIN, 0}}; // poll() skips -1
    for (const auto &[pid, watched] : watched_) {
      waiting.push_back({watched.process.get(), POLLIN, 0});
    }
    const auto pause = std::chrono::ceil<std::chrono::milliseconds>(std::min(deadline, next_look_) -
                                                                    monotonic_now());
    const int ready = ::poll(waiting.data(), waiting.size(),
                             static_cast<int>(std::max<std::int64_t>(0, pause.count())));
    if (waiting.front().revents != 0) {
      return std::vector<VmChange>{};
    }
    if (ready > 0) {
      next_look_ = {}; // a VM ended
    }
  }
}

/// Opens the pidfd if it is not there yet: it is opened by number, so what it names is checked
/// after.
VmWatch::Life VmWatch::life_of(Watched &watched) {
  if (!watched.process) {
    watched.process = Fd(static_cast<int>(::syscall(SYS_pidfd_open, watched.vm.pid, 0)));
    if (!watched.process && errno == ESRCH) {
      return Life::Ended;
    }
    const auto directory = ProcessDirectory::open(watched.vm.pid);
    const auto started = directory ? directory->start_time() : tl::unexpected(directory.error());
    if (started ? *started != watched.vm.start_time : started.error().code == ErrorCode::NotFound) {
      return Life::Ended;
    }
    if (!started) {
      watched.process.reset(); // not known whose it is
    }
  }
  if (!watched.process) {
    return Life::Unknown;
  }
  pollfd ended{watched.process.get(), POLLIN, 0};
  return ::poll(&ended, 1, 0) > 0 ? Life::Ended : Life::Running;
}

Result<std::vector<VmChange>> VmWatch::look() {
  auto found = find_();
  if (!found) {
    return tl::unexpected(found.error());
  }
  std::vector<VmChange> changes;
  for (auto known = watched_.begin(); known != watched_.end();) {
    const bool seen = std::any_of(found->begin(), found->end(), [&](const VmFound &vm) {
      return vm.same_process(known->second.vm);
    });
    // One look that failed to see it says nothing about a process that lives.
    const Life life = life_of(known->second);
    if (life == Life::Running || (life == Life::Unknown && seen)) {
      ++known;
      continue;
    }
    changes.push_back({VmChange::Kind::Disappeared, std::move(known->second.vm)});
    known = watched_.erase(known);
  }
  for (auto &vm : *found) {
    const auto known = watched_.find(vm.pid);
    if (known == watched_.end()) {
      Watched fresh{vm, {}};
      if (life_of(fresh) == Life::Ended) {
        continue;
      }
      watched_[vm.pid] = std::move(fresh);
      changes.push_back({VmChange::Kind::Appeared, std::move(vm)});
      continue;
    }
    const bool changed =
        known->second.vm.taps != vm.taps || known->second.vm.qmp_path != vm.qmp_path;
    known->second.vm = vm;
    if (changed) {
      changes.push_back({VmChange::Kind::Changed, std::move(vm)});
    }
  }
  return changes;
}

} // namespace outguard::hypervisor
