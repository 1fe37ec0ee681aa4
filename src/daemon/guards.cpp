#include "daemon/guards.h"

namespace outguard::daemon {

void Guards::remove(pid_t pid) {
  std::unique_ptr<VmGuard> ended;
  const std::lock_guard lock(mutex_);
  if (const auto found = guards_.find(pid); found != guards_.end()) {
    ended = std::move(found->second);
    guards_.erase(found);
  }
}

void Guards::add(hypervisor::VmFound vm, const Shared &shared) {
  const auto pid = vm.pid;
  auto guard = std::make_unique<VmGuard>(std::move(vm), shared);
  const std::lock_guard lock(mutex_);
  guards_[pid] = std::move(guard);
}

void Guards::end() {
  std::map<pid_t, std::unique_ptr<VmGuard>> ended;
  {
    const std::lock_guard lock(mutex_);
    ended.swap(guards_);
  }
  for (const auto &[pid, one] : ended) {
    one->end();
  }
}

std::vector<api::GuardStatus> Guards::status() const {
  std::vector<api::GuardStatus> all;
  const std::lock_guard lock(mutex_);
  for (const auto &[pid, one] : guards_) {
    all.push_back(one->status());
  }
  return all;
}

} // namespace outguard::daemon
