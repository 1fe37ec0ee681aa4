#pragma once
// Follows VMs that come and go: looks through /proc twice a second, and hears at once of a process
// that ends. One thread; owns one pidfd a VM.

#include <chrono>
#include <functional>
#include <map>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "hypervisor/vm_finder.h"

namespace outguard::hypervisor {

struct VmChange {
  enum class Kind {
    Appeared,
    Changed,     ///< taps or QMP path differ: QEMU was still starting, or a card was plugged
    Disappeared, ///< its process has ended, and nothing less
  };
  Kind kind = Kind::Appeared;
  VmFound vm; ///< as last seen
};

class VmWatch {
public:
  static constexpr std::chrono::milliseconds kInterval{500};
  using Find = std::function<Result<std::vector<VmFound>>()>;

  explicit VmWatch(Find find = find_vms) : find_(std::move(find)) {}

  /// Blocks until something changed, `wait` is over (then empty), or `wake_fd` is readable (-1:
  /// none).
  [[nodiscard]] Result<std::vector<VmChange>> next(std::chrono::milliseconds wait,
                                                   int wake_fd = -1);

private:
  struct Watched {
    VmFound vm;
    Fd process; ///< pidfd, readable once the process has ended; empty: the kernel gave none
  };
  enum class Life { Running, Ended, Unknown };

  [[nodiscard]] Result<std::vector<VmChange>> look();
  [[nodiscard]] static Life life_of(Watched &watched);

  Find find_;
  std::map<pid_t, Watched> watched_;
  MonotonicTime next_look_{};
};

} // namespace outguard::hypervisor
