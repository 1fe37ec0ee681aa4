#include "guest/testing/linux_image.h"

#include <algorithm>
#include <array>

namespace outguard::guest {
namespace {

constexpr GuestVirtual kUserArguments{0x7ffe'0000'1000};
constexpr std::uint32_t kInlineSlots = 64;

} // namespace

void LinuxImage::define(std::string_view type,
                        const std::vector<std::pair<std::string, std::uint32_t>> &members) {
  const std::string name(type);
  std::uint32_t at = 0;
  for (const auto &[member, size] : members) {
    const std::uint32_t alignment = std::min<std::uint32_t>(size & (~size + 1), 8);
    at = (at + alignment - 1) / alignment * alignment;
    types_.add_member(name, member, {at, size, 0, 0});
    at += size;
  }
  types_.add_type(name, (at + 7) / 8 * 8);
}

void LinuxImage::define_types() {
  define("task_struct", {{"thread_info.flags", 8},
                         {"__state", 4},
                         {"flags", 4},
                         {"tasks", 16},
                         {"mm", 8},
                         {"exit_state", 4},
                         {"pid", 4},
                         {"tgid", 4},
                         {"real_parent", 8},
                         {"thread_node", 16},
                         {"start_boottime", 8},
                         {"real_cred", 8},
                         {"comm", 16},
                         {"alloc_lock.rlock.raw_lock.val.counter", 4},
                         {"fs", 8},
                         {"files", 8},
                         {"nsproxy", 8},
                         {"signal", 8},
                         {"sighand", 8},
                         {"thread_pid", 8},
                         {"cgroups", 8},
                         {"group_leader", 8},
                         {"children", 16},
                         {"sibling", 16},
                         {"pid_links", 64},
                         {"cg_list", 16},
                         {"se.group_node", 16},
                         {"rt.run_list", 16},
                         {"pending.signal.sig", 8}});
  define("mm_struct", {{"arg_start", 8}, {"arg_end", 8}, {"pgd", 8}, {"exe_file", 8}});
  define("fs_struct", {{"users", 8}, {"root.mnt", 8}, {"root.dentry", 8}});
  define("signal_struct", {{"nr_threads", 4},
                           {"thread_head", 16},
                           {"group_exit_code", 4},
                           {"group_stop_count", 4},
                           {"flags", 4}});
  define("sighand_struct", {{"count", 8}, {"siglock.rlock.raw_lock.val.counter", 4}});
  define("dentry", {{"d_hash.next", 8},
                    {"d_hash.pprev", 8},
                    {"d_parent", 8},
                    {"d_name.len", 4},
                    {"d_name.name", 8},
                    {"d_op", 8},
                    {"d_iname", 32}});
  define("mount", {{"mnt_parent", 8}, {"mnt_mountpoint", 8}, {"mnt.mnt_root", 8}});
  types_.add_member("mount", "mnt", {16, 8, 0, 0});
  define(
      "file",
      {{"f_inode", 8}, {"f_op", 8}, {"private_data", 8}, {"f_path.mnt", 8}, {"f_path.dentry", 8}});
  define("inode", {{"i_uid", 4}, {"i_mode", 2}});
  define("fdtable", {{"max_fds", 4}, {"fd", 8}, {"open_fds", 8}});
  define("files_struct", {{"count", 8}, {"fdt", 8}, {"fdtab", 24}, {"fd_array", kInlineSlots * 8}});
  define("timekeeper", {{"wall_to_monotonic.tv_sec", 8},
                        {"wall_to_monotonic.tv_nsec", 8},
                        {"offs_real", 8},
                        {"offs_boot", 8}});
}

LinuxImage::LinuxImage(PagingLevels levels) : builder_(levels) {
  define_types();
  define_socket_types();
  define_context_types();
  init_net_ = make("net");
  set(init_net_, "net", "ns.inum", kInitialNamespace);
  namespaces_ = builder_.allocate(16);
  append(namespaces_, at(init_net_, "net", "list"));
  symbols_.add("init_net", init_net_);
  symbols_.add("net_namespace_list", namespaces_);
  make_tables();
  make_clock();
  socket_operations_ = builder_.allocate(64);
  symbols_.add("socket_file_ops", socket_operations_);
  root_dentry_ = make_dentry("/", GuestVirtual{});
  dentries_["/"] = root_dentry_;
  root_mount_ = make("mount");
  set(root_mount_, "mount", "mnt_parent", root_mount_.raw());
  set(root_mount_, "mount", "mnt.mnt_root", root_dentry_.raw());
  mounts_["/"] = root_mount_;

  const std::array<std::uint8_t, 12> wake_up = {0x0f, 0x1f, 0x44, 0,    0, // room for a tracer
                                                0xf0, 0x80, 0x0f, 0x04,    // lock orb $4,(%rdi)
                                                0x83, 0xce, 0x01};
  const GuestVirtual code = builder_.allocate(64);
  builder_.write(code, wake_up);
  symbols_.add("signal_wake_up_state", code);

  make_context();
  init_task_ = make("task_struct");
  symbols_.add("init_task", init_task_);
  ProcessSpec idle{.pid = 0, .comm = "swapper/0", .exe = "", .flags = 0x200000};
  const GuestVirtual list = at(init_task_, "task_struct", "tasks");
  builder_.put(list, list.raw());
  builder_.put(list.plus_wrapping(8), list.raw());
  fill_task(init_task_, idle);
  init_process_ =
      add_process({.pid = 1, .comm = "init", .exe = "/sbin/init", .arguments = {"init"}});
}

Kernel LinuxImage::kernel() {
  Kernel kernel{builder_.space(),
                std::make_unique<FakeSymbolTable>(symbols_),
                std::make_unique<FakeTypeTable>(types_),
                {}};
  return kernel;
}

GuestVirtual LinuxImage::at(GuestVirtual object, std::string_view type,
                            std::string_view member) const {
  const auto found = types_.member(type, member);
  return found ? object.plus_wrapping(found->offset) : GuestVirtual{};
}

void LinuxImage::set(GuestVirtual object, std::string_view type, std::string_view member,
                     std::uint64_t value) {
  const auto found = types_.member(type, member).value();
  std::array<std::uint8_t, 8> bytes{};
  for (std::size_t index = 0; index < bytes.size(); ++index) {
    bytes.at(index) = static_cast<std::uint8_t>(value >> index * 8);
  }
  builder_.write(object.plus_wrapping(found.offset), std::span(bytes).first(found.size));
}

std::uint64_t LinuxImage::get(GuestVirtual object, std::string_view type, std::string_view member) {
  const auto found = types_.member(type, member).value();
  std::uint64_t value = 0; // of a larger member, such as a list_head, its first word
  const std::size_t size = std::min<std::size_t>(found.size, sizeof value);
  const auto done = builder_.space().read(object.plus_wrapping(found.offset),
                                          {reinterpret_cast<std::uint8_t *>(&value), size});
  return done ? value : 0;
}

void LinuxImage::grow(std::string_view type, std::string_view member, std::uint32_t size) {
  const std::string name(type);
  const std::uint32_t end = (types_.size_of(type).value_or(0) + 7) / 8 * 8;
  types_.add_member(name, std::string(member), {end, size, 0, 0});
  types_.add_type(name, end + size);
}

GuestVirtual LinuxImage::make(std::string_view type) {
  return builder_.allocate(types_.size_of(type).value());
}

/// list_add_tail(); a head that is still zero is made first.
void LinuxImage::append(GuestVirtual head, GuestVirtual node) {
  const auto last = builder_.space().read_pointer(head.plus_wrapping(8)).value();
  const GuestVirtual previous = last.is_null() ? head : last;
  builder_.put_pointer(previous, node);
  builder_.put_pointer(node, head);
  builder_.put_pointer(node.plus_wrapping(8), previous);
  builder_.put_pointer(head.plus_wrapping(8), node);
}

void LinuxImage::add_signal_code() {
  const std::array<std::uint8_t, 4> landing_pad = {0xf3, 0x0f, 0x1e, 0xfa},
                                    sealed_pad = {0x66, 0x0f, 0x1f, 0x00};
  const std::array<std::uint8_t, 23> pops = {0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c,
                                             0x5d, 0x5b, 0x41, 0x5b, 0x41, 0x5a, 0x41, 0x59,
                                             0x41, 0x58, 0x58, 0x59, 0x5a, 0x5e, 0x5f};
  const GuestVirtual code = builder_.allocate(256);
  builder_.write(code, landing_pad);
  builder_.write(code.plus_wrapping(64), sealed_pad);
  builder_.write(code.plus_wrapping(192), pops);
  symbols_.add("_stext", code);
  symbols_.add("hrtimer_interrupt", code);
  symbols_.add("__common_interrupt", code.plus_wrapping(64));
  symbols_.add("do_send_sig_info", code.plus_wrapping(128));
  symbols_.add("restore_regs_and_return_to_kernel", code.plus_wrapping(192));
  symbols_.add("_etext", code.plus_wrapping(256));
}

void LinuxImage::make_clock() {
  constexpr std::uint64_t kUptime = 5'250'000'000, kSecond = 1'000'000'000;
  const GuestVirtual core = builder_.allocate(512);
  const GuestVirtual timekeeper = core.plus_wrapping(8);
  // real = boot time + time asleep; wall_to_monotonic is its negative, normalised.
  const std::uint64_t real = kBootTimeNs + kUptime;
  const std::uint64_t seconds = real / kSecond + 1;
  set(timekeeper, "timekeeper", "offs_real", real);
  set(timekeeper, "timekeeper", "offs_boot", kUptime);
  set(timekeeper, "timekeeper", "wall_to_monotonic.tv_sec", ~seconds + 1);
  set(timekeeper, "timekeeper", "wall_to_monotonic.tv_nsec", seconds * kSecond - real);
  symbols_.add("tk_core", core);
}

GuestVirtual LinuxImage::make_files() {
  const GuestVirtual files = make("files_struct");
  const GuestVirtual table = at(files, "files_struct", "fdtab");
  set(files, "files_struct", "fdt", table.raw());
  set(table, "fdtable", "max_fds", kInlineSlots);
  set(table, "fdtable", "fd", at(files, "files_struct", "fd_array").raw());
  return files;
}

GuestVirtual LinuxImage::make_mm(const ProcessSpec &spec) {
  const GuestVirtual mm = make("mm_struct");
  const GuestPhysical root = builder_.new_root();
  const GuestVirtual page_table = builder_.allocate(4096, 4096);
  builder_.map_page(builder_.root(), page_table, root);
  std::string area;
  for (const std::string &argument : spec.arguments) {
    area += argument;
    area += '\0';
  }
  builder_.write_in(root, kUserArguments,
                    {reinterpret_cast<const std::uint8_t *>(area.data()), area.size()});
  set(mm, "mm_struct", "pgd", page_table.raw());
  set(mm, "mm_struct", "arg_start", kUserArguments.raw());
  set(mm, "mm_struct", "arg_end", kUserArguments.raw() + area.size());
  set(mm, "mm_struct", "exe_file", open_file(spec.exe).raw());
  return mm;
}

void LinuxImage::fill_task(GuestVirtual task, const ProcessSpec &spec) {
  const auto put = [&](std::string_view member, std::uint64_t value) {
    set(task, "task_struct", member, value);
  };
  const auto pid = static_cast<std::uint32_t>(spec.pid);
  put("pid", pid);
  put("tgid", pid);
  put("__state", spec.state);
  put("exit_state", spec.exit_state);
  put("flags", spec.flags);
  put("start_boottime", next_start_ns_);
  next_start_ns_ += 1'000'000;
  const GuestVirtual idle_or_init = spec.pid > 1 ? init_process_ : init_task_;
  put("real_parent", (spec.parent.is_null() ? idle_or_init : spec.parent).raw());
  std::vector<std::uint8_t> comm(16);
  std::copy_n(spec.comm.begin(), std::min<std::size_t>(spec.comm.size(), 15), comm.begin());
  builder_.write(at(task, "task_struct", "comm"), comm);

  const GuestVirtual fs = make("fs_struct");
  set(fs, "fs_struct", "root.mnt", at(root_mount_, "mount", "mnt").raw());
  set(fs, "fs_struct", "root.dentry", root_dentry_.raw());
  fill_context(task, spec);
  put("fs", fs.raw());
  put("mm", spec.exe.empty() ? 0 : make_mm(spec).raw());
  put("files", spec.exe.empty() ? 0 : make_files().raw());

  const GuestVirtual signal = make("signal_struct");
  put("signal", signal.raw());
  put("sighand", make("sighand_struct").raw());
  set(signal, "signal_struct", "nr_threads", 1);
  append(at(signal, "signal_struct", "thread_head"), at(task, "task_struct", "thread_node"));
}

GuestVirtual LinuxImage::add_process(const ProcessSpec &spec) {
  const GuestVirtual task = make("task_struct");
  fill_task(task, spec);
  append(at(init_task_, "task_struct", "tasks"), at(task, "task_struct", "tasks"));
  return task;
}

GuestVirtual LinuxImage::add_thread(GuestVirtual leader, std::int32_t pid, bool own_files) {
  const GuestVirtual thread = make("task_struct");
  std::vector<std::uint8_t> bytes(types_.size_of("task_struct").value());
  static_cast<void>(builder_.space().read(leader, bytes));
  builder_.write(thread, bytes);
  set(thread, "task_struct", "pid", static_cast<std::uint32_t>(pid));
  if (own_files) {
    set(thread, "task_struct", "files", make_files().raw());
  }
  const GuestVirtual signal(get(leader, "task_struct", "signal"));
  set(signal, "signal_struct", "nr_threads", get(signal, "signal_struct", "nr_threads") + 1);
  append(at(signal, "signal_struct", "thread_head"), at(thread, "task_struct", "thread_node"));
  return thread;
}

void LinuxImage::put_descriptor(GuestVirtual task, std::uint32_t fd, GuestVirtual file) {
  const GuestVirtual files(get(task, "task_struct", "files"));
  const GuestVirtual table(get(files, "files_struct", "fdt"));
  const GuestVirtual slots(get(table, "fdtable", "fd"));
  builder_.put_pointer(slots.plus_wrapping(std::uint64_t{fd} * 8), file);
  if (const GuestVirtual bits(get(table, "fdtable", "open_fds")); !bits.is_null()) {
    builder_.put(bits.plus_wrapping(fd / 8), static_cast<std::uint8_t>(1U << fd % 8));
  }
}

GuestVirtual LinuxImage::hold_plain_file(GuestVirtual task, std::uint32_t fd) {
  const GuestVirtual file = open_file("/dev/null");
  put_descriptor(task, fd, file);
  return file;
}

void LinuxImage::grow_descriptors(GuestVirtual task, std::uint32_t slots) {
  const GuestVirtual files(get(task, "task_struct", "files"));
  const GuestVirtual table = make("fdtable");
  set(table, "fdtable", "max_fds", slots);
  set(table, "fdtable", "fd", builder_.allocate(std::uint64_t{slots} * 8).raw());
  set(table, "fdtable", "open_fds", builder_.allocate(slots / 8 + 8).raw());
  set(files, "files_struct", "fdt", table.raw());
}

GuestVirtual LinuxImage::make_dentry(std::string_view name, GuestVirtual parent) {
  const GuestVirtual dentry = make("dentry");
  set(dentry, "dentry", "d_parent", (parent.is_null() ? dentry : parent).raw());
  set(dentry, "dentry", "d_hash.pprev", dentry.raw());
  set(dentry, "dentry", "d_name.len", name.size());
  const GuestVirtual inside = at(dentry, "dentry", "d_iname");
  const GuestVirtual text = name.size() < 32 ? inside : builder_.allocate(name.size() + 1);
  builder_.put_text(text, name);
  set(dentry, "dentry", "d_name.name", text.raw());
  return dentry;
}

GuestVirtual LinuxImage::dentry(std::string_view path) {
  if (const auto known = dentries_.find(path); known != dentries_.end()) {
    return known->second;
  }
  const std::size_t slash = path.rfind('/');
  const GuestVirtual parent = dentry(slash == 0 ? "/" : path.substr(0, slash));
  const GuestVirtual made = make_dentry(path.substr(slash + 1), parent);
  dentries_[std::string(path)] = made;
  return made;
}

void LinuxImage::mount_at(std::string_view path) {
  const GuestVirtual mount = make("mount");
  const GuestVirtual root = make_dentry("/", GuestVirtual{});
  set(mount, "mount", "mnt_parent", root_mount_.raw());
  set(mount, "mount", "mnt_mountpoint", dentry(path).raw());
  set(mount, "mount", "mnt.mnt_root", root.raw());
  dentries_[std::string(path)] = root;
  mounts_[std::string(path)] = mount;
}

GuestVirtual LinuxImage::open_file(std::string_view path) {
  GuestVirtual mount = root_mount_;
  for (const auto &[prefix, candidate] : mounts_) { // longer ones come later
    if (path.starts_with(prefix)) {
      mount = candidate;
    }
  }
  const GuestVirtual file = make("file");
  set(file, "file", "f_path.mnt", at(mount, "mount", "mnt").raw());
  set(file, "file", "f_path.dentry", dentry(path).raw());
  return file;
}

} // namespace outguard::guest
