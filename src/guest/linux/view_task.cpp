#include "guest/linux/view_task.h"

namespace outguard::guest {
namespace {

// include/linux/sched.h; macros, so not in BTF, and the same from 5.10 to 6.12.
constexpr std::uint64_t kDead = 0x80;   // TASK_DEAD
constexpr std::uint64_t kNew = 0x800;   // TASK_NEW: fork is still making it
constexpr std::uint64_t kExiting = 0x4; // PF_EXITING

constexpr std::int32_t kMostPid = 1 << 22; // PID_MAX_LIMIT
constexpr std::uint64_t kKernelHalf = std::uint64_t{1} << 63;

bool is_object(GuestVirtual address) {
  return (address.raw() & kKernelHalf) != 0 && address.raw() % 8 == 0;
}

} // namespace

std::optional<ViewLayout> ViewLayout::bind(const TypeTable &types, std::string &missing) {
  ViewLayout layout;
  StructBinder task(types, "task_struct", missing);
  layout.pid = task.number("pid");
  layout.tgid = task.number("tgid");
  layout.start_boottime = task.number({"start_boottime", "real_start_time"}); // renamed in 5.5
  layout.state = task.number({"__state", "state"});                           // renamed in 5.14
  layout.exit_state = task.number("exit_state");
  layout.flags = task.number("flags");
  layout.real_parent = task.pointer("real_parent");
  layout.group_leader = task.pointer("group_leader");
  layout.signal = task.pointer("signal");
  layout.sighand = task.pointer("sighand");
  layout.thread_pid = task.pointer("thread_pid");
  layout.children = task.bytes("children", kListLinkBytes);
  layout.nodes = {task.bytes("tasks", kListLinkBytes),
                  task.bytes("sibling", kListLinkBytes),
                  task.bytes("thread_node", kListLinkBytes),
                  task.optional_member("cg_list", kListLinkBytes),
                  task.optional_member("se.group_node", kListLinkBytes),
                  task.optional_member("rt.run_list", kListLinkBytes)};
  layout.css_set = task.optional_member("cgroups", 8);
  layout.task = task.extent();
  StructBinder signal(types, "signal_struct", missing);
  layout.thread_head = signal.bytes("thread_head", kListLinkBytes).offset;
  return missing.empty() ? std::optional(layout) : std::nullopt;
}

bool ViewTask::lives() const {
  return exit_state == 0 && (state & (kDead | kNew)) == 0;
}

bool ViewTask::is_ending() const {
  return (flags & kExiting) != 0;
}

bool ViewTask::is_plausible() const {
  return pid >= 0 && pid <= kMostPid && tgid >= 0 && tgid <= kMostPid && is_object(parent) &&
         is_object(leader) && is_object(signal) && is_object(sighand);
}

ViewTask decode_view_task(const ObjectCopy &copy, const ViewLayout &layout) {
  ViewTask task;
  task.address = copy.address();
  task.pid = copy.signed_number(layout.pid);
  task.tgid = copy.signed_number(layout.tgid);
  task.start_boottime_ns = copy.number(layout.start_boottime);
  task.state = copy.number(layout.state);
  task.exit_state = copy.number(layout.exit_state);
  task.flags = copy.number(layout.flags);
  task.parent = copy.pointer(layout.real_parent);
  task.leader = copy.pointer(layout.group_leader);
  task.signal = copy.pointer(layout.signal);
  task.sighand = copy.pointer(layout.sighand);
  task.number = copy.pointer(layout.thread_pid);
  task.children = links_of(copy, layout.children);
  for (std::size_t node = 0; node < kTaskNodes; ++node) {
    if (layout.nodes[node]) {
      task.links[node] = links_of(copy, *layout.nodes[node]);
    }
  }
  if (layout.css_set) {
    task.css_set = copy.pointer(*layout.css_set);
  }
  return task;
}

Result<ViewTask *> ViewTasks::get(GuestVirtual address) {
  const auto known = tasks_.find(address);
  return known != tasks_.end() ? &known->second : renew(address);
}

Result<ViewTask *> ViewTasks::renew(GuestVirtual address) {
  if (const auto loaded = copy_.load(reader_, address); !loaded) {
    return tl::unexpected(loaded.error());
  }
  ViewTask task = decode_view_task(copy_, layout_);
  if (!task.is_plausible()) {
    return fault(FaultCode::Malformed, address.raw());
  }
  const auto known = tasks_.find(address);
  if (known != tasks_.end()) {
    task.seen_in = known->second.seen_in;
    known->second = task;
    return &known->second;
  }
  if (order_.size() >= kMostTasks) {
    return fault(FaultCode::LimitReached, address.raw());
  }
  order_.push_back(address);
  return &tasks_.emplace(address, task).first->second;
}

} // namespace outguard::guest
