#pragma once
// Does memory read as the found kernel says it should? Each check has a name, which stands in the
// reason when it fails. Binds what it needs itself, and leaves a check out where this kernel lacks
// what it compares. Borrows the layout and the task list.

#include <optional>
#include <string>

#include "guest/linux/guest_trouble.h"
#include "guest/linux/task_list.h"
#include "guest/symbols/kernel.h"

namespace outguard::guest {

class SelfCheck {
public:
  SelfCheck(const Kernel &kernel, const LinuxLayout &layout, const TaskList &tasks);

  /// Booting: pid 1 runs no program yet. Every other failure: Unreadable.
  [[nodiscard]] tl::expected<void, GuestTrouble> run(KernelReader &reader) const;

private:
  using Outcome = tl::expected<void, GuestTrouble>;

  [[nodiscard]] Outcome check_swapper(KernelReader &reader) const;
  [[nodiscard]] Outcome check_task_list(KernelReader &reader) const;
  [[nodiscard]] Outcome check_pid_one(KernelReader &reader) const;
  [[nodiscard]] Outcome check_sock_common() const;
  [[nodiscard]] Outcome check_routing_socket(KernelReader &reader) const;
  [[nodiscard]] Outcome check_release(KernelReader &reader) const;
  [[nodiscard]] Outcome check_jiffies(KernelReader &reader) const;

  const LinuxLayout &layout_;
  const TaskList &tasks_;
  std::string release_; ///< as the banner has it
  std::optional<GuestVirtual> uts_release_, init_net_, jiffies_;
  std::optional<Member> net_routing_; ///< struct net's pointer to its rtnetlink socket
};

} // namespace outguard::guest
