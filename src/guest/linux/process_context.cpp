#include "guest/linux/process_context.h"

#include "guest/linux/cgroup_names.h"

namespace outguard::guest {

void ContextReader::read(const Task &task, ContextMemo &memo, KernelReader &reader,
                         ProcessSeen &seen) const {
  seen.namespaces = memo.proxies_.get(
      task.nsproxy, [&](GuestVirtual proxy) { return namespaces_.of_proxy(proxy, reader); });

  const auto &acting = memo.credentials_.get(task.cred, [&](GuestVirtual cred) {
    const auto found = credentials_.read(cred, reader);
    return ContextMemo::Acting{found.credentials,
                               namespaces_.user_inode(found.user_namespace, reader)};
  });
  seen.credentials = acting.credentials;
  seen.namespaces.user = acting.user_namespace;

  if (const auto pid = namespaces_.innermost(task.thread_pid, reader)) {
    seen.namespace_pid = pid->number;
    seen.namespaces.pid = memo.pid_spaces_.get(
        pid->space, [&](GuestVirtual space) { return namespaces_.pid_inode(space, reader); });
  }

  const auto &group = memo.groups_.get(task.css_set, [&](GuestVirtual css_set) {
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
