#include "guest/linux/process_context.h"

#include "guest/linux/cgroup_names.h"

namespace outguard::guest {

ContextReader::ContextReader(const TypeTable &types)
    : credentials_(types), namespaces_(types), cgroups_(types) {
  std::string none;
  StructBinder task(types, "task_struct", none);
  thread_pid_ = task.optional_place("thread_pid", sizeof(std::uint64_t));
  css_set_ = task.optional_place("cgroups", sizeof(std::uint64_t));
  for (const auto &member : {thread_pid_, css_set_}) {
    if (member) {
      task.include(*member);
    }
  }
  task_ = task.extent();
}

ContextLinks ContextReader::links(GuestVirtual task, KernelReader &reader) const {
  ObjectCopy copy(task_);
  if (task_.size() == 0 || !copy.load(reader, task)) {
    return {};
  }
  return {thread_pid_ ? copy.pointer(*thread_pid_) : GuestVirtual{},
          css_set_ ? copy.pointer(*css_set_) : GuestVirtual{}};
}

void ContextReader::read(const Task &task, const ContextLinks &links, ContextMemo &memo,
                         KernelReader &reader, ProcessSeen &seen) const {
  seen.namespaces = memo.proxies_.get(
      task.nsproxy, [&](GuestVirtual proxy) { return namespaces_.of_proxy(proxy, reader); });

  const auto &acting = memo.credentials_.get(task.cred, [&](GuestVirtual cred) {
    const auto found = credentials_.read(cred, reader);
    return ContextMemo::Acting{found.credentials,
                               namespaces_.user_inode(found.user_namespace, reader)};
  });
  seen.credentials = acting.credentials;
  seen.namespaces.user = acting.user_namespace;

  if (const auto pid = namespaces_.innermost(links.thread_pid, reader)) {
    seen.namespace_pid = pid->number;
    seen.namespaces.pid = memo.pid_spaces_.get(
        pid->space, [&](GuestVirtual space) { return namespaces_.pid_inode(space, reader); });
  }

  const auto &group = memo.groups_.get(links.css_set, [&](GuestVirtual css_set) {
    ContextMemo::Group made{cgroups_.path_of(css_set, reader), std::nullopt, std::nullopt};
    if (made.path) {
      made.container.emplace(container_of_cgroup(made.path->raw()));
      made.unit.emplace(unit_of_cgroup(made.path->raw()));
    }
    return made;
  });
  seen.cgroup = group.path;
  seen.container = group.container;
  seen.unit = group.unit;
}

} // namespace outguard::guest
