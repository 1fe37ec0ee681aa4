#pragma once
// One task_struct as the comparison of views reads it: whole, once a pass, with every link by which
// the kernel's lists lead to it. ViewTasks keeps the copies of one pass, so that a task that five
// lists lead to is read once. Borrows layout and reader. One thread; lives as long as its pass.

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "facts/process_seen.h"
#include "guest/linux/kernel_reader.h"
#include "guest/linux/list_walk.h"
#include "guest/linux/struct_binder.h"

namespace outguard::guest {

/// The lists that a task is a node of.
enum class TaskNode : std::uint8_t { Tasks, Sibling, Thread, Cgroup, Fair, RealTime };
inline constexpr std::size_t kTaskNodes = 6;

struct ViewLayout {
  Extent task;
  Member pid, tgid, start_boottime, state, exit_state, flags;
  Member real_parent, group_leader, signal, sighand, thread_pid, children;
  std::array<std::optional<Member>, kTaskNodes>
      nodes;                     ///< by TaskNode; only the last three may lack
  std::optional<Member> css_set; ///< task_struct.cgroups
  std::uint32_t thread_head = 0; ///< offset in signal_struct

  /// nullopt: `missing` names the member that this kernel lacks.
  [[nodiscard]] static std::optional<ViewLayout> bind(const TypeTable &types, std::string &missing);
  [[nodiscard]] const std::optional<Member> &node(TaskNode which) const {
    return nodes[static_cast<std::size_t>(which)];
  }
};

struct ViewTask {
  GuestVirtual address;
  std::int32_t pid = 0, tgid = 0;
  std::uint64_t start_boottime_ns = 0;
  std::uint64_t state = 0, exit_state = 0, flags = 0;
  GuestVirtual parent, leader, signal, sighand, number, css_set;
  ListLinks children;
  std::array<ListLinks, kTaskNodes> links;
  ViewSet seen_in;

  [[nodiscard]] bool is_leader() const { return leader == address; }
  /// It has run, and goes on: what is being made or taken down is in some lists only.
  [[nodiscard]] bool lives() const;
  /// It has begun to end: out of its cgroup, and in all other lists.
  [[nodiscard]] bool is_ending() const;
  /// Memory that holds a task, as far as one can tell by itself; not one that was released, which
  /// has lost its sighand.
  [[nodiscard]] bool is_plausible() const;
  [[nodiscard]] ProcessIdentity identity() const {
    return {tgid, start_boottime_ns, address.raw()};
  }
  [[nodiscard]] const ListLinks &links_in(TaskNode node) const {
    return links[static_cast<std::size_t>(node)];
  }
};

[[nodiscard]] ViewTask decode_view_task(const ObjectCopy &copy, const ViewLayout &layout);

class ViewTasks {
public:
  static constexpr std::size_t kMostTasks = std::size_t{1} << 16; ///< some 20 MiB

  ViewTasks(const ViewLayout &layout, KernelReader &reader)
      : layout_(layout), reader_(reader), copy_(layout.task) {}

  /// Malformed: no task is there. LimitReached: there are more than we keep.
  [[nodiscard]] Result<ViewTask *> get(GuestVirtual address);
  /// The same, read again.
  [[nodiscard]] Result<ViewTask *> renew(GuestVirtual address);
  /// What was asked for so far, in that order; grows under who reads it.
  [[nodiscard]] const std::vector<GuestVirtual> &addresses() const { return order_; }

private:
  const ViewLayout &layout_;
  KernelReader &reader_;
  ObjectCopy copy_;
  std::map<GuestVirtual, ViewTask> tasks_; ///< ordered: the keys are the guest's
  std::vector<GuestVirtual> order_;
};

} // namespace outguard::guest
