// The part of LinuxImage that ContextReader reads: credentials, namespaces, struct pid, cgroups.

#include "guest/testing/linux_image.h"

namespace outguard::guest {
namespace {

constexpr std::uint32_t kInnerLevels = 4; ///< pid namespaces that a built struct pid has room for

} // namespace

void LinuxImage::define_context_types() {
  define("cred", {{"usage", 8},
                  {"uid.val", 4},
                  {"gid.val", 4},
                  {"suid.val", 4},
                  {"sgid.val", 4},
                  {"euid.val", 4},
                  {"egid.val", 4},
                  {"fsuid.val", 4},
                  {"fsgid.val", 4},
                  {"cap_inheritable", 8},
                  {"cap_permitted", 8},
                  {"cap_effective", 8},
                  {"cap_bset", 8},
                  {"cap_ambient", 8},
                  {"user_ns", 8}});
  define("nsproxy", {{"count", 8},
                     {"uts_ns", 8},
                     {"ipc_ns", 8},
                     {"mnt_ns", 8},
                     {"pid_ns_for_children", 8},
                     {"net_ns", 8},
                     {"time_ns", 8},
                     {"cgroup_ns", 8}});
  for (const char *space : {"uts_namespace", "ipc_namespace", "mnt_namespace", "time_namespace",
                            "cgroup_namespace", "user_namespace", "pid_namespace"}) {
    define(space, {{"count", 8}, {"idr.idr_rt.xa_head", 8}, {"ns.inum", 4}});
  }
  define("upid", {{"nr", 4}, {"ns", 8}});
  define("pid", {{"count", 4}, {"level", 4}, {"tasks", 32}, {"numbers", kInnerLevels * 16}});
  define("css_set", {{"refcount", 8},
                     {"dfl_cgrp", 8},
                     {"cgrp_links", 16},
                     {"tasks", 16},
                     {"mg_tasks", 16},
                     {"hlist", 16}});
  define("cgroup", {{"kn", 8}, {"root", 8}});
  define("cgroup_root", {{"flags", 4}, {"name", 64}});
  define("kernfs_node", {{"count", 8}, {"parent", 8}, {"name", 8}});
  define("cgrp_cset_link", {{"cgrp", 8}, {"cset", 8}, {"cset_link", 16}, {"cgrp_link", 16}});
}

void LinuxImage::make_context() {
  init_user_space_ = make("user_namespace");
  set(init_user_space_, "user_namespace", "ns.inum", kInitialNamespace + 1);
  init_pid_space_ = make("pid_namespace");
  set(init_pid_space_, "pid_namespace", "ns.inum", kInitialNamespace + 2);
  root_cgroup_ = add_cgroup("/");
}

void LinuxImage::fill_context(GuestVirtual task, const ProcessSpec &spec) {
  const GuestVirtual cred = make("cred"), nsproxy = make("nsproxy"), pid = make("pid");
  for (const char *id : {"uid.val", "euid.val", "suid.val", "fsuid.val"}) {
    set(cred, "cred", id, spec.uid);
  }
  set(cred, "cred", "user_ns", init_user_space_.raw());
  set(nsproxy, "nsproxy", "net_ns", (spec.net.is_null() ? init_net_ : spec.net).raw());
  const GuestVirtual number = at(pid, "pid", "numbers");
  set(number, "upid", "nr", static_cast<std::uint32_t>(spec.pid));
  set(number, "upid", "ns", init_pid_space_.raw());
  set(task, "task_struct", "real_cred", cred.raw());
  set(task, "task_struct", "nsproxy", nsproxy.raw());
  set(task, "task_struct", "thread_pid", pid.raw());
  set(task, "task_struct", "cgroups", root_cgroup_.raw());
}

void LinuxImage::nest_pid(GuestVirtual task, std::int32_t number, std::uint32_t namespace_inode) {
  const GuestVirtual pid(get(task, "task_struct", "thread_pid"));
  const std::uint64_t level = get(pid, "pid", "level") + 1;
  const GuestVirtual space = make("pid_namespace");
  set(space, "pid_namespace", "ns.inum", namespace_inode);
  const GuestVirtual inner =
      at(pid, "pid", "numbers").plus_wrapping(level * types_.size_of("upid").value());
  set(inner, "upid", "nr", static_cast<std::uint32_t>(number));
  set(inner, "upid", "ns", space.raw());
  set(pid, "pid", "level", level);
}

GuestVirtual LinuxImage::make_cgroup(std::string_view path, GuestVirtual hierarchy) {
  GuestVirtual node = make("kernfs_node");
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(name.size());
    if (name.empty()) {
      continue;
    }
    const GuestVirtual text = builder_.allocate(name.size() + 1);
    builder_.put_text(text, name);
    const GuestVirtual child = make("kernfs_node");
    set(child, "kernfs_node", "parent", node.raw());
    set(child, "kernfs_node", "name", text.raw());
    node = child;
  }
  const GuestVirtual cgroup = make("cgroup");
  set(cgroup, "cgroup", "kn", node.raw());
  set(cgroup, "cgroup", "root", hierarchy.raw());
  return cgroup;
}

GuestVirtual LinuxImage::add_cgroup(std::string_view path) {
  const GuestVirtual css_set = make("css_set");
  const GuestVirtual links = at(css_set, "css_set", "cgrp_links");
  builder_.put_pointer(links, links);
  builder_.put_pointer(links.plus_wrapping(8), links);
  set(css_set, "css_set", "dfl_cgrp", make_cgroup(path, make("cgroup_root")).raw());
  return css_set;
}

void LinuxImage::add_systemd_cgroup(GuestVirtual css_set, std::string_view path) {
  const GuestVirtual hierarchy = make("cgroup_root"), link = make("cgrp_cset_link");
  builder_.put_text(at(hierarchy, "cgroup_root", "name"), "systemd");
  set(link, "cgrp_cset_link", "cgrp", make_cgroup(path, hierarchy).raw());
  append(at(css_set, "css_set", "cgrp_links"), at(link, "cgrp_cset_link", "cgrp_link"));
}

} // namespace outguard::guest
