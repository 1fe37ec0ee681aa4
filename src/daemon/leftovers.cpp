#include "daemon/leftovers.h"

#include "base/log.h"
#include "facts/guest_text.h"
#include "hypervisor/network_namespace.h"
#include "respond/tap_leftovers.h"

namespace outguard::daemon {

namespace {

/// For the desk to bring a VM's blocks back: it waits for no guest, and needs milliseconds.
constexpr std::chrono::seconds kSettle{10};

Result<void> sweep_one(const hypervisor::VmFound &vm, const hypervisor::TapFound &tap) {
  const auto netns = hypervisor::open_tap_namespace(vm, tap);
  if (!netns) {
    return tl::unexpected(netns.error());
  }
  if (auto swept = respond::sweep_tap(*netns, tap.name); !swept) {
    return swept;
  }
  return respond::remove_leftovers(*netns);
}

} // namespace

void Leftovers::take(const hypervisor::VmFound &vm) {
  due_.insert_or_assign(vm.pid, Due{vm, monotonic_now() + kSettle});
}

void Leftovers::sweep() {
  const auto now = monotonic_now();
  for (auto at = due_.begin(); at != due_.end();) {
    if (at->second.at > now) {
      ++at;
      continue;
    }
    const auto &vm = at->second.vm;
    for (const auto &tap : vm.taps) {
      const auto swept = sweep_one(vm, tap);
      if (!swept && swept.error().code != ErrorCode::NotFound) { // that is a VM that has ended
        log::warning("tap " + GuestText(tap.name).printable() +
                     ": what is left there is not cleared: " + swept.error().message);
      }
    }
    at = due_.erase(at);
  }
}

} // namespace outguard::daemon
