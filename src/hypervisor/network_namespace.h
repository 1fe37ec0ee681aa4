#pragma once
// Work inside another network namespace: on a thread of its own, so that no other thread of the
// program ever changes namespace and a failure half-way cannot leave one in the wrong place.

#include <functional>
#include <optional>
#include <utility>

#include "base/fd.h"
#include "base/result.h"
#include "hypervisor/vm_found.h"

namespace outguard::hypervisor {

/// The namespace that `tap` of `vm` is in, wherever QEMU runs (TUNGETDEVNETNS, Linux 5.0).
/// NotFound: the VM is gone, or no longer holds that tap.
[[nodiscard]] Result<Fd> open_tap_namespace(const VmFound &vm, const TapFound &tap);
/// The namespace of the calling thread.
[[nodiscard]] Result<Fd> open_own_namespace();
[[nodiscard]] Result<std::uint64_t> namespace_inode(const Fd &netns);

/// Blocks until `work` ran inside `netns`; its own outcome is whatever it stores.
[[nodiscard]] Result<void> run_in_namespace(const Fd &netns, const std::function<void()> &work);

/// Usage: `auto socket = in_namespace(netns, [&]() -> Result<Fd> { ... });`
template <class Work> auto in_namespace(const Fd &netns, Work work) -> decltype(work()) {
  std::optional<decltype(work())> outcome;
  if (auto ran = run_in_namespace(netns, [&] { outcome.emplace(work()); }); !ran) {
    return tl::unexpected(ran.error());
  }
  return std::move(*outcome);
}

} // namespace outguard::hypervisor
