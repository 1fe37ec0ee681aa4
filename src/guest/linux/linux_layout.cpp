#include "guest/linux/linux_layout.h"

#include "guest/linux/list_walk.h"

namespace outguard::guest {
namespace {

constexpr std::uint32_t kCommBytes = 16;

class Binding {
public:
  explicit Binding(const TypeTable &types) : types_(types) {}

  [[nodiscard]] TaskLayout task();
  [[nodiscard]] ProcessLayout process();
  [[nodiscard]] SignalLayout signal();
  [[nodiscard]] PathLayout path();
  [[nodiscard]] FileLayout file();
  [[nodiscard]] SocketLayout socket();
  [[nodiscard]] TableLayout table();
  [[nodiscard]] ClockLayout clock();

  [[nodiscard]] const std::string &missing() const { return missing_; }

private:
  [[nodiscard]] StructBinder of(std::string_view type) { return {types_, type, missing_}; }
  [[nodiscard]] std::uint32_t size_of(std::string_view type) {
    const auto size = types_.size_of(type);
    if (!size || *size == 0 || *size > kMaxObjectBytes) {
      if (missing_.empty()) {
        missing_ = "sizeof " + std::string(type);
      }
      return 8;
    }
    return *size;
  }
  void bind_tcp(TableLayout &layout);

  const TypeTable &types_;
  std::string missing_;
};

TaskLayout Binding::task() {
  TaskLayout layout;
  auto task = of("task_struct");
  layout.state = task.number({"__state", "state"}); // renamed in 5.14
  layout.exit_state = task.number("exit_state");
  layout.flags = task.number("flags");
  layout.tasks = task.bytes("tasks", kListLinkBytes);
  layout.thread_node = task.bytes("thread_node", kListLinkBytes);
  layout.pid = task.number("pid");
  layout.tgid = task.number("tgid");
  layout.start_boottime = task.number({"start_boottime", "real_start_time"}); // renamed in 5.5
  layout.comm = task.bytes("comm", kCommBytes);
  layout.mm = task.pointer("mm");
  layout.files = task.pointer("files");
  layout.fs = task.pointer("fs");
  layout.nsproxy = task.pointer("nsproxy");
  layout.real_cred = task.pointer("real_cred");
  layout.real_parent = task.pointer("real_parent");
  layout.signal = task.pointer("signal");
  layout.sighand = task.pointer("sighand");
  layout.thread_pid = task.optional_member("thread_pid", sizeof(std::uint64_t));
  layout.css_set = task.optional_member("cgroups", sizeof(std::uint64_t));
  layout.name_lock = task.optional_member("alloc_lock.rlock.raw_lock.val.counter", 4);
  if (!layout.name_lock) { // PREEMPT_RT, as in signal()
    layout.name_lock = task.optional_member("alloc_lock.lock.owner", 8);
  }
  layout.extent = task.extent();
  layout.thread_flags = task.place("thread_info.flags");
  layout.pending = task.place("pending.signal.sig");

  auto identity = of("task_struct");
  for (const Member &member : {layout.pid, layout.tgid, layout.start_boottime, layout.mm}) {
    identity.include(member);
  }
  layout.identity = identity.extent();
  return layout;
}

ProcessLayout Binding::process() {
  ProcessLayout layout;
  auto mm = of("mm_struct");
  layout.mm_pgd = mm.pointer("pgd");
  layout.mm_exe_file = mm.pointer("exe_file");
  layout.mm_arg_start = mm.number("arg_start");
  layout.mm_arg_end = mm.number("arg_end");
  layout.mm = mm.extent();

  auto fs = of("fs_struct");
  layout.fs_root_mount = fs.pointer("root.mnt");
  layout.fs_root_dentry = fs.pointer("root.dentry");
  layout.fs = fs.extent();
  return layout;
}

SignalLayout Binding::signal() {
  SignalLayout layout;
  auto signal = of("signal_struct");
  layout.flags = signal.number("flags");
  layout.nr_threads = signal.number("nr_threads");
  layout.signal = signal.extent();
  layout.thread_head = signal.place("thread_head");

  auto sighand = of("sighand_struct");
  layout.lock = sighand.optional_place("siglock.rlock.raw_lock.val.counter", 4);
  if (!layout.lock) { // PREEMPT_RT: a sleeping lock, free when nobody owns it
    layout.lock = sighand.optional_place("siglock.lock.owner", 8);
  }
  return layout;
}

PathLayout Binding::path() {
  PathLayout layout;
  auto dentry = of("dentry");
  layout.dentry_parent = dentry.pointer("d_parent");
  layout.dentry_name = dentry.pointer("d_name.name");
  layout.dentry_name_length = dentry.number("d_name.len");
  layout.dentry_unhashed = dentry.pointer("d_hash.pprev");
  layout.dentry_operations = dentry.pointer("d_op");
  dentry.include({0, size_of("dentry"), 0, 0});
  layout.dentry = dentry.extent();

  auto mount = of("mount");
  layout.mount_parent = mount.pointer("mnt_parent");
  layout.mount_point = mount.pointer("mnt_mountpoint");
  layout.mount_root = mount.pointer("mnt.mnt_root");
  layout.mount_to_vfsmount = mount.place("mnt").offset;
  layout.mount = mount.extent();
  return layout;
}

FileLayout Binding::file() {
  FileLayout layout;
  auto file = of("file");
  layout.operations = file.pointer("f_op");
  layout.inode = file.pointer("f_inode");
  layout.private_data = file.pointer("private_data");
  layout.path_mount = file.pointer("f_path.mnt");
  layout.path_dentry = file.pointer("f_path.dentry");
  layout.file = file.extent();

  auto inode = of("inode");
  layout.inode_mode = inode.number("i_mode");
  layout.inode_extent = inode.extent();

  auto table = of("fdtable");
  layout.table_size = table.number("max_fds");
  layout.table_slots = table.pointer("fd");
  layout.table_open = table.pointer("open_fds");
  layout.table = table.extent();

  auto files = of("files_struct");
  layout.files_table = files.pointer("fdt");
  layout.files_first_table = files.bytes("fdtab", size_of("fdtable"));
  layout.files = files.extent();
  return layout;
}

SocketLayout Binding::socket() {
  SocketLayout layout;
  auto alloc = of("socket_alloc");
  layout.socket_file = alloc.pointer("socket.file");
  layout.socket_sock = alloc.pointer("socket.sk");
  layout.socket_inode = alloc.number("vfs_inode.i_ino");
  layout.socket_in_alloc = alloc.place("socket").offset;
  layout.socket = alloc.extent();

  // struct sock starts with its sock_common, as every kind of minisock does.
  auto common = of("sock_common");
  layout.node = common.bytes("skc_node", kListLinkBytes);
  layout.family = common.number("skc_family");
  layout.state = common.number("skc_state");
  layout.local_port = common.number("skc_num");
  layout.remote_port = common.number("skc_dport");
  layout.local_v4 = common.bytes("skc_rcv_saddr", 4);
  layout.remote_v4 = common.bytes("skc_daddr", 4);
  layout.local_v6 = common.bytes("skc_v6_rcv_saddr", 16);
  layout.remote_v6 = common.bytes("skc_v6_daddr", 16);
  layout.net = common.pointer("skc_net.net");
  layout.ipv6_only = common.optional_member("skc_ipv6only");

  auto timewait = of("inet_timewait_sock");
  layout.timewait_substate = timewait.number("tw_substate");
  common.include(layout.timewait_substate);
  layout.sock_common = common.extent();

  auto sock = of("sock");
  layout.protocol = sock.number("sk_protocol");
  layout.type = sock.number("sk_type");
  layout.socket_of_sock = sock.pointer("sk_socket");
  layout.uid = sock.optional_member("sk_uid.val", 4);
  layout.lock_word = sock.optional_member("sk_lock.slock.rlock.raw_lock.val.counter", 4);
  if (!layout.lock_word) { // PREEMPT_RT, as in signal()
    layout.lock_word = sock.optional_member("sk_lock.slock.lock.owner", 8);
  }
  layout.lock_is_owned = sock.optional_member("sk_lock.owned", 4);
  sock.include({layout.sock_common.begin, layout.sock_common.size(), 0, 0});
  layout.sock = sock.extent();
  return layout;
}

void Binding::bind_tcp(TableLayout &layout) {
  auto hashinfo = of("inet_hashinfo");
  layout.established = hashinfo.pointer("ehash");
  layout.established_mask = hashinfo.number("ehash_mask");
  layout.listening2 = hashinfo.pointer("lhash2");
  layout.listening2_mask = hashinfo.number("lhash2_mask");
  layout.listening = hashinfo.optional_place("listening_hash");
  layout.hashinfo = hashinfo.extent();

  auto bucket = of("inet_listen_hashbucket");
  layout.listen_bucket_head = bucket.place("nulls_head").offset;
  layout.listen_bucket_size = size_of("inet_listen_hashbucket");
  layout.established_bucket_size = size_of("inet_ehash_bucket");
}

TableLayout Binding::table() {
  TableLayout layout;
  auto net = of("net");
  layout.net_list = net.bytes("list", kListLinkBytes);
  layout.net_inode = net.number("ns.inum");
  layout.net_tcp = net.optional_member("ipv4.tcp_death_row.hashinfo", 8);
  layout.net_udp = net.optional_member("ipv4.udp_table", 8);
  layout.net = net.extent();
  bind_tcp(layout);

  auto udp = of("udp_table");
  layout.udp_slots = udp.pointer("hash");
  layout.udp_mask = udp.number("mask");
  layout.udp = udp.extent();
  layout.udp_slot_size = size_of("udp_hslot");
  layout.udp_slot_head = of("udp_hslot").place("head").offset;
  layout.raw_slots = of("raw_hashinfo").place("ht");
  layout.ping_slots = of("ping_table").optional_place("hash");
  return layout;
}

ClockLayout Binding::clock() {
  ClockLayout layout;
  auto timekeeper = of("timekeeper");
  layout.real_offset = timekeeper.number("offs_real");
  layout.boot_offset = timekeeper.number("offs_boot");
  layout.wall_seconds = timekeeper.number("wall_to_monotonic.tv_sec");
  layout.wall_nanoseconds = timekeeper.number("wall_to_monotonic.tv_nsec");
  layout.timekeeper = timekeeper.extent();
  return layout;
}

} // namespace

tl::expected<LinuxLayout, std::string> LinuxLayout::bind(const TypeTable &types) {
  Binding binding(types);
  LinuxLayout layout{binding.task(), binding.process(), binding.signal(), binding.path(),
                     binding.file(), binding.socket(),  binding.table(),  binding.clock()};
  if (!binding.missing().empty()) {
    return tl::unexpected(binding.missing());
  }
  return layout;
}

} // namespace outguard::guest
