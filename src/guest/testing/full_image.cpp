#include "guest/testing/full_image.h"

#include <array>
#include <memory>

#include "guest/testing/views_builder.h"

namespace outguard::guest {
namespace {

constexpr std::string_view kRelease = "6.1.0-35-amd64";
constexpr std::string_view kBanner = "Linux version 6.1.0-35-amd64 (of nobody) #1 SMP";
constexpr std::uint64_t kPage = 4096;

/// Attaching drops its tables; the image keeps these.
class BorrowedSymbols final : public SymbolTable {
public:
  explicit BorrowedSymbols(const SymbolTable &symbols) : symbols_(symbols) {}
  [[nodiscard]] std::optional<GuestVirtual> find(std::string_view name) const override {
    return symbols_.find(name);
  }

private:
  const SymbolTable &symbols_;
};

class BorrowedTypes final : public TypeTable {
public:
  explicit BorrowedTypes(const TypeTable &types) : types_(types) {}
  [[nodiscard]] Result<Member> member(std::string_view type, std::string_view path) const override {
    return types_.member(type, path);
  }
  [[nodiscard]] Result<std::uint32_t> size_of(std::string_view type) const override {
    return types_.size_of(type);
  }
  [[nodiscard]] std::optional<std::int64_t> enumerator(std::string_view name) const override {
    return types_.enumerator(name);
  }

private:
  const TypeTable &types_;
};

Endpoint end(std::string_view text) {
  return Endpoint::parse(text).value();
}

} // namespace

FullImage::FullImage(Form form) : form_(form), holding_(image_) {
  define_types();
  if (has_trees()) { // so that the short way from a flow is trusted
    image_.shrink_established(1);
    image_.set(image_.symbols().find("tcp_hashinfo").value(), "inet_hashinfo", "lhash2_mask", 0);
  }
  make_processes();
  make_sockets();
  make_other_sockets();
  make_held_sockets();
  ViewsBuilder views(image_); // with the type of the nodes that files need, too
  views.unlink(users_.back(), "tasks");
  views.clear_number(child_);
  views.run(web_);
  make_files();
  make_kernel_text();
  const auto &made = builder().objects();
  objects_.insert(objects_.end(), made.begin(), made.end());
}

void FullImage::define_types() {
  image_.grow("task_struct", "io_uring", 8);
  image_.grow("io_uring_task", "registered_rings", 128);
  image_.types().add_member("files_struct", "count.counter",
                            image_.types().member("files_struct", "count").value());
  image_.grow("net", "rtnl", 8);
  image_.grow("net", "hash_mix", 4);
  image_.grow("uts_namespace", "name.release", 65);
  image_.grow("ping_table", "hash", 512);
  for (const char *member : {"hash.tbl", "hash.key", "listeners"}) {
    image_.grow("netlink_table", member, 8);
  }
  image_.grow("bucket_table", "size", 4);
  image_.grow("bucket_table", "nest", 4);
  image_.grow("bucket_table", "future_tbl", 8);
  image_.grow("bucket_table", "buckets", 0);
  image_.grow("sock", "conn_list", 16);
  image_.types().add_member("mptcp_sock", "conn_list",
                            image_.types().member("sock", "conn_list").value());
  image_.grow("mptcp_subflow_context", "node", 16);
  image_.grow("mptcp_subflow_context", "tcp_sock", 8);
  if (has_trees()) {
    image_.grow("net", "unx.table.buckets", 8);
    image_.grow("net", "ipv4.tcp_death_row.hashinfo", 8);
    image_.grow("net", "ipv4.udp_table", 8);
    const auto rename = [&](const char *from, const char *to) {
      image_.types().add_member("io_ring_ctx", to,
                                image_.types().member("io_ring_ctx", from).value());
    };
    rename("file_table.files", "file_table.data.nodes");
    rename("nr_user_files", "file_table.data.nr");
    image_.grow("io_rsrc_node", "type", 8);
    image_.grow("io_rsrc_node", "file_ptr", 8);
  }
  define_map_types();
  define_file_types();
}

GuestVirtual FullImage::new_object(std::string_view type) {
  return builder().allocate(image_.types().size_of(type).value());
}

void FullImage::make_processes() {
  net_ = image_.add_namespace(4026532118);
  image_.mount_at("/srv");
  web_ = image_.add_process({.pid = 80, .exe = "/srv/bin/web"});
  child_ = image_.add_process({.pid = 81, .parent = web_, .net = net_});
  const GuestVirtual boxed = image_.add_process({.pid = 82, .exe = "/usr/bin/boxed"});
  image_.add_process({.pid = 3, .exe = "", .flags = 0x200000});
  image_.add_process({.pid = 83, .exe = "", .exit_state = 0x20});
  const GuestVirtual hidden = image_.add_process({.pid = 84, .comm = "hidden"});
  users_ = {web_, child_, boxed, hidden};
  image_.nest_pid(boxed, 1, 4026532200);
  const GuestVirtual group = image_.add_cgroup(
      "/system.slice/"
      "docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope");
  image_.add_systemd_cgroup(group, "/system.slice/box.service");
  image_.set(boxed, "task_struct", "cgroups", group.raw());
  for (const GuestVirtual user : users_) {
    image_.set(GuestVirtual(image_.get(user, "task_struct", "files")), "files_struct", "count", 1);
  }
  thread_ = image_.add_thread(web_, 85, true);
  image_.set(GuestVirtual(image_.get(thread_, "task_struct", "files")), "files_struct", "count", 1);
  image_.add_thread(web_, 86);
  image_.grow_descriptors(child_, 1024);
  image_.hold_plain_file(web_, 0);
}

void FullImage::hold(GuestVirtual task, std::uint32_t fd, const SocketObjects &socket,
                     std::uint32_t references) {
  image_.set(image_.hold(task, fd, socket), "file", "f_count.counter", references);
}

SocketObjects FullImage::add_connection(std::uint16_t port, GuestVirtual net) {
  return image_.add_socket({.local = {end("10.0.0.1:0").address, port},
                            .remote = end("203.0.113.66:4444"),
                            .inode = 1000U + port,
                            .net = net});
}

void FullImage::make_sockets() {
  hold(web_, 1, add_connection(1));
  const auto shared = add_connection(2);
  hold(thread_, 2, shared, 2);
  hold(child_, 900, shared, 2);
  hold(child_, 200, add_connection(3, net_));
  hold(users_.back(), 3, add_connection(4));
  const Endpoint remote = end("203.0.113.66:4444");
  flows_ = {{6, end("10.0.0.1:1"), remote},
            {6, end("10.0.0.1:2"), remote},
            {17, end("10.0.0.1:53"), end("203.0.113.66:9")},
            {6, end("10.0.0.1:256"), end("203.0.113.66:99")}};
  hold(web_, 10,
       image_.add_socket({.state = 10, .local = end("[::]:256"), .remote = end("[::]:0")}));
  const auto datagram = [&](std::uint8_t protocol, std::uint16_t type, std::uint16_t port) {
    return image_.add_socket({.protocol = protocol,
                              .type = type,
                              .state = 7,
                              .local = {end("0.0.0.0:0").address, port},
                              .remote = end("0.0.0.0:0")});
  };
  hold(web_, 11, datagram(17, 2, 53));
  hold(web_, 12, datagram(1, 3, 1));
  image_.add_minisock(6, end("10.0.0.1:9"), remote);
  image_.add_minisock(12, end("10.0.0.1:256"), remote);

  SocketSpec orphan{.state = 4, .local = end("10.0.0.1:8"), .remote = remote};
  orphan.has_socket = false;
  image_.add_socket(orphan);
  orphan.has_socket = true;
  orphan.in_table = false; // hidden, and held
  hold(child_, 5, image_.add_socket(orphan));

  image_.symbols().add("ping_table", new_object("ping_table"));
  const GuestVirtual udp = image_.symbols().find("udp_table").value();
  const GuestVirtual lite = new_object("udp_table");
  image_.set(lite, "udp_table", "hash", builder().allocate(256).raw());
  image_.set(lite, "udp_table", "mask", 15);
  image_.symbols().add("udplite_table", lite);
  if (has_trees()) {
    for (const GuestVirtual net : {image_.init_net(), net_}) {
      image_.set(net, "net", "ipv4.tcp_death_row.hashinfo",
                 image_.symbols().find("tcp_hashinfo")->raw());
      image_.set(net, "net", "ipv4.udp_table", udp.raw());
    }
  }
}

/// 512 buckets, one chain.
GuestVirtual FullImage::make_unix_table(const SocketObjects &socket) {
  constexpr std::uint64_t kBuckets = 512, kUsed = 7;
  const GuestVirtual table = builder().allocate(kBuckets * 8);
  const GuestVirtual node = image_.at(socket.sock, "sock_common", "skc_node");
  builder().put_pointer(table.plus_wrapping(kUsed * 8), node);
  builder().put_pointer(node.plus_wrapping(8), table.plus_wrapping(kUsed * 8));
  return table;
}

void FullImage::make_other_sockets() {
  const auto named = holding_.add_unix(50, 10), peer = holding_.add_unix(51, 1);
  holding_.name_unix(named, "/run/web.sock", 16);
  holding_.name_unix(peer, std::string_view("\0abstract", 9), 11);
  image_.set(peer.sock, "unix_sock", "peer", named.sock.raw());
  hold(web_, 20, named);
  hold(child_, 20, peer);
  const GuestVirtual table = make_unix_table(named);
  if (has_trees()) {
    image_.set(image_.init_net(), "net", "unx.table.buckets", table.raw());
    image_.set(net_, "net", "unx.table.buckets", make_unix_table(peer).raw());
  } else {
    image_.symbols().add("unix_socket_table", table);
  }

  const auto netlink = holding_.add_netlink(60, 80, 0x11);
  image_.set(netlink.sock, "sock", "sk_protocol", 0); // NETLINK_ROUTE
  hold(web_, 21, netlink);
  image_.set(image_.init_net(), "net", "rtnl", netlink.sock.raw());
  const std::uint32_t table_bytes = image_.types().size_of("netlink_table").value();
  const GuestVirtual tables = builder().allocate(std::uint64_t{table_bytes} * 32);
  const GuestVirtual variable = builder().allocate(8), hash = builder().allocate(256);
  const GuestVirtual node = image_.at(netlink.sock, "netlink_sock", "node");
  builder().put_pointer(variable, tables);
  image_.symbols().add("nl_table", variable);
  builder().put_pointer(image_.at(tables, "netlink_table", "hash.tbl"), hash);
  image_.set(hash, "bucket_table", "size", 16);
  builder().put_pointer(image_.at(hash, "bucket_table", "buckets"), node);
  builder().put(node, std::uint64_t{1});

  hold(web_, 22, holding_.add_packet(70, 0x0003, "eth0"));
  SocketSpec spec;
  spec.inode = 71;
  spec.in_table = false;
  spec.family = 40;
  const auto vsock = image_.add_socket(spec);
  const GuestVirtual behind = vsock.sock.plus_wrapping(image_.types().size_of("sock").value() + 16);
  for (const std::uint64_t side : {0U, 16U}) {
    builder().put(behind.plus_wrapping(side), std::uint16_t{40});
    builder().put(behind.plus_wrapping(side + 4), std::uint32_t{1024});
    builder().put(behind.plus_wrapping(side + 8), std::uint32_t{3});
  }
  objects_.push_back({behind, 32});
  hold(web_, 23, vsock);
}

void FullImage::make_held_sockets() {
  const auto reader = holding_.add_unix(52, 1), inner = holding_.add_unix(53, 1);
  hold(child_, 30, reader);
  holding_.send(reader, {image_.open_file("/etc/passwd"), holding_.file_of(inner, web_)});
  holding_.send(inner, {holding_.file_of(add_connection(6), web_)});

  std::uint64_t slot = holding_.file_of(add_connection(7), web_).raw();
  if (has_trees()) {
    const GuestVirtual node = new_object("io_rsrc_node");
    image_.set(node, "io_rsrc_node", "file_ptr", slot);
    slot = node.raw();
  }
  const GuestVirtual ring = holding_.add_ring({0, slot | (has_trees() ? 0U : 3U), 0});
  image_.put_descriptor(web_, 31, ring);
  const GuestVirtual of_task = new_object("io_uring_task");
  builder().put_pointer(of_task.plus_wrapping(8), ring);
  image_.set(thread_, "task_struct", "io_uring", of_task.raw());

  const auto multipath = add_connection(5);
  image_.set(multipath.sock, "sock", "sk_protocol", 262);
  const GuestVirtual head = image_.at(multipath.sock, "sock", "conn_list");
  const GuestVirtual context = new_object("mptcp_subflow_context");
  const GuestVirtual node = image_.at(context, "mptcp_subflow_context", "node");
  for (const auto &[from, to] : {std::pair(head, node), std::pair(node, head)}) {
    builder().put_pointer(from, to);
    builder().put_pointer(from.plus_wrapping(8), to);
  }
  SocketSpec subflow{.local = end("10.0.0.1:5"), .remote = end("203.0.113.66:4444")};
  subflow.has_socket = false;
  image_.set(context, "mptcp_subflow_context", "tcp_sock", image_.add_socket(subflow).sock.raw());
  hold(child_, 31, multipath);
}

void FullImage::make_kernel_text() {
  const GuestVirtual text = builder().allocate(2 * kPage, kPage);
  const GuestVirtual operations = builder().allocate(32),
                     calls = builder().allocate(std::uint64_t{300} * 8);
  image_.add_signal_code(); // its ends of text are replaced
  image_.symbols().add("_stext", text);
  image_.symbols().add("_etext", text.plus_wrapping(kPage));
  image_.grow("seq_operations", "show", 8);
  image_.symbols().add("tcp4_seq_ops", operations);
  builder().put_pointer(operations, text.plus_wrapping(64));
  image_.symbols().add("sys_call_table", calls);
  for (std::uint64_t number = 0; number < 300; ++number) {
    builder().put_pointer(calls.plus_wrapping(number * 8), text.plus_wrapping(number));
  }
  const std::array<std::uint8_t, 6> entry = {0x0f, 0x1f, 0x44, 0, 0, 0x55};
  builder().write(text.plus_wrapping(512), entry);
  image_.symbols().add("filldir64", text.plus_wrapping(512));

  const GuestVirtual banner = builder().allocate(64), names = new_object("uts_namespace");
  builder().put_text(banner, kBanner);
  image_.symbols().add("linux_banner", banner);
  builder().put_text(image_.at(names, "uts_namespace", "name.release"), kRelease);
  image_.symbols().add("init_uts_ns", names);
  const GuestVirtual jiffies = builder().allocate(8), frames = builder().allocate(8);
  builder().put(jiffies, std::uint64_t{0x1'0000'1234});
  image_.symbols().add("jiffies_64", jiffies);
  builder().put(frames, std::uint64_t{0x20000});
  image_.symbols().add("max_pfn", frames);
}

Kernel FullImage::kernel() {
  Kernel kernel{builder().space(),
                std::make_unique<BorrowedSymbols>(image_.symbols()),
                std::make_unique<BorrowedTypes>(image_.types()),
                {}};
  kernel.seen.release = GuestText(std::string(kRelease));
  kernel.seen.banner = GuestText(std::string(kBanner));
  kernel.seen.text_base = image_.symbols().find("_stext")->raw();
  return kernel;
}

std::vector<CpuRegisters> FullImage::registers() const {
  CpuRegisters cpu;
  cpu.cr0 = std::uint64_t{1} << 31; // CR0.PG
  cpu.cr3 = image_.builder().root().raw();
  cpu.long_mode = true;
  return {cpu};
}

} // namespace outguard::guest
