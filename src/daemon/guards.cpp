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
  std::vector<std::shared_ptr<VmHands>> hands; // outlive the guards, which nobody must wait for
  {
    const std::lock_guard lock(mutex_);
    for (const auto &[pid, one] : guards_) {
      all.push_back(one->status());
      hands.push_back(one->hands());
    }
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].enforcement = enforcement_.of(hands[i]->vm());
  }
  return all;
}

Result<std::shared_ptr<VmHands>> Guards::find(std::string_view target) const {
  const auto is_meant = [&](const hypervisor::VmFound &vm) {
    return target == vm.key() || target == vm.name || target == "pid:" + std::to_string(vm.pid) ||
           (!vm.qmp_path.empty() && target == "qmp:" + vm.qmp_path);
  };
  std::shared_ptr<VmHands> found;
  const std::lock_guard lock(mutex_);
  for (const auto &[pid, one] : guards_) {
    if (!is_meant(one->vm())) {
      continue;
    }
    if (found) {
      return fail(ErrorCode::InvalidInput, "several VMs are called " +
                                               GuestText(std::string(target)).printable() +
                                               ": name one by its UUID or pid:N");
    }
    found = one->hands();
  }
  if (!found) {
    return fail(ErrorCode::NotFound,
                "no VM that is guarded is called " + GuestText(std::string(target)).printable());
  }
  return found;
}

} // namespace outguard::daemon
