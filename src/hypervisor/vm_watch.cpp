#include "hypervisor/vm_watch.h"

#include <algorithm>

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

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

Result<std::vector<VmChange>> VmWatch::look() {
  auto found = find_vms();
  if (!found) {
    return tl::unexpected(found.error());
  }
  std::vector<VmChange> changes;
  for (auto known = watched_.begin(); known != watched_.end();) {
    const bool still_there = std::any_of(found->begin(), found->end(), [&](const VmFound &vm) {
      return vm.same_process(known->second.vm);
    });
    if (still_there) {
      ++known;
      continue;
    }
    changes.push_back({VmChange::Kind::Disappeared, std::move(known->second.vm)});
    known = watched_.erase(known);
  }
  for (auto &vm : *found) {
    const auto known = watched_.find(vm.pid);
    if (known == watched_.end()) {
      Fd process(static_cast<int>(::syscall(SYS_pidfd_open, vm.pid, 0)));
      if (!process) {
        continue; // ended since; or seen again at the next look
      }
      watched_[vm.pid] = {vm, std::move(process)};
      changes.push_back({VmChange::Kind::Appeared, std::move(vm)});
    } else if (known->second.vm != vm) {
      known->second.vm = vm;
      changes.push_back({VmChange::Kind::Changed, std::move(vm)});
    }
  }
  return changes;
}

} // namespace outguard::hypervisor
