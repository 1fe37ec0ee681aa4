// The part of LinuxImage that the socket walkers read: namespaces, tables, socks and their files.

#include "guest/testing/linux_image.h"

namespace outguard::guest {
namespace {

std::uint16_t family_number(const SocketSpec &spec) {
  return spec.family != 0 ? spec.family : spec.local.address.family == IpFamily::V4 ? 2 : 10;
}

/// Of an array of guest memory.
GuestVirtual element(GuestVirtual first, std::uint64_t index, std::uint64_t size) {
  return first.plus_wrapping(index * size);
}

} // namespace

void LinuxImage::define_socket_types() {
  define("socket_alloc", {{"socket.state", 8},
                          {"socket.file", 8},
                          {"socket.sk", 8},
                          {"vfs_inode.i_mode", 8},
                          {"vfs_inode.i_ino", 8}});
  types_.add_member("socket_alloc", "socket", {0, 24, 0, 0});
  define("sock_common", {{"skc_daddr", 4},
                         {"skc_rcv_saddr", 4},
                         {"skc_hash", 4},
                         {"skc_dport", 2},
                         {"skc_num", 2},
                         {"skc_family", 2},
                         {"skc_state", 1},
                         {"skc_flags", 1},
                         {"skc_node", 16},
                         {"skc_net.net", 8},
                         {"skc_v6_daddr", 16},
                         {"skc_v6_rcv_saddr", 16}});
  const auto flags = types_.member("sock_common", "skc_flags").value().offset;
  types_.add_member("sock_common", "skc_ipv6only", {flags, 1, 5, 1});
  const std::uint32_t common = types_.size_of("sock_common").value();
  types_.add_member("inet_timewait_sock", "tw_substate", {common, 1, 0, 0});
  types_.add_type("inet_timewait_sock", common + 8);
  types_.add_member("sock", "sk_type", {common + 32, 2, 0, 0});
  types_.add_member("sock", "sk_protocol", {common + 34, 2, 0, 0});
  types_.add_member("sock", "sk_socket", {common + 40, 8, 0, 0});
  types_.add_type("sock", common + 48);
  define("net", {{"count", 8}, {"list", 16}, {"ns.inum", 4}});
  define("inet_hashinfo", {{"ehash", 8}, {"ehash_mask", 4}, {"lhash2_mask", 4}, {"lhash2", 8}});
  define("inet_listen_hashbucket", {{"lock", 4}, {"nulls_head", 8}});
  define("inet_ehash_bucket", {{"chain", 8}});
  define("udp_table", {{"hash", 8}, {"mask", 4}});
  define("udp_hslot", {{"head", 8}, {"count", 4}});
  define("raw_hashinfo", {{"lock", 8}, {"ht", 256 * 8}});
}

void LinuxImage::make_tables() {
  const GuestVirtual tcp = make("inet_hashinfo");
  established_ = builder_.allocate(std::uint64_t{kEstablishedBuckets} * 8);
  listening_ = builder_.allocate(512);
  for (std::uint32_t bucket = 0; bucket < kEstablishedBuckets; ++bucket) {
    builder_.put(element(established_, bucket, 8), std::uint64_t{bucket} << 1 | 1);
  }
  for (std::uint32_t bucket = 0; bucket < 32; ++bucket) {
    builder_.put(element(listening_, bucket, 16).plus_wrapping(8), std::uint64_t{bucket} << 1 | 1);
  }
  set(tcp, "inet_hashinfo", "ehash", established_.raw());
  set(tcp, "inet_hashinfo", "ehash_mask", kEstablishedBuckets - 1);
  set(tcp, "inet_hashinfo", "lhash2", listening_.raw());
  set(tcp, "inet_hashinfo", "lhash2_mask", 31);
  symbols_.add("tcp_hashinfo", tcp);

  const GuestVirtual udp = make("udp_table");
  udp_slots_ = builder_.allocate(4096);
  set(udp, "udp_table", "hash", udp_slots_.raw());
  set(udp, "udp_table", "mask", 255);
  symbols_.add("udp_table", udp);
  raw_v4_ = make("raw_hashinfo");
  raw_v6_ = make("raw_hashinfo");
  symbols_.add("raw_v4_hashinfo", raw_v4_);
  symbols_.add("raw_v6_hashinfo", raw_v6_);
}

/// hlist_add_head() and its nulls form.
void LinuxImage::push(GuestVirtual head, GuestVirtual node) {
  const auto first = builder_.space().read_pointer(head).value();
  builder_.put_pointer(node, first);
  builder_.put_pointer(node.plus_wrapping(8), head);
  if (!first.is_null() && (first.raw() & 1) == 0) {
    builder_.put_pointer(first.plus_wrapping(8), node);
  }
  builder_.put_pointer(head, node);
}

void LinuxImage::shrink_established(std::uint32_t buckets) {
  buckets_ = buckets;
  set(symbols_.find("tcp_hashinfo").value(), "inet_hashinfo", "ehash_mask", buckets - 1);
}

GuestVirtual LinuxImage::add_namespace(std::uint32_t inode) {
  const GuestVirtual net = make("net");
  set(net, "net", "ns.inum", inode);
  append(namespaces_, at(net, "net", "list"));
  return net;
}

void LinuxImage::fill_common(GuestVirtual sock, const SocketSpec &spec) {
  const auto put = [&](std::string_view member, std::uint64_t value) {
    set(sock, "sock_common", member, value);
  };
  put("skc_family", family_number(spec));
  put("skc_state", spec.state);
  put("skc_num", spec.local.port);
  put("skc_dport",
      static_cast<std::uint64_t>(spec.remote.port >> 8 | (spec.remote.port & 0xff) << 8));
  put("skc_flags", spec.ipv6_only ? 1U << 5 : 0);
  put("skc_net.net", (spec.net.is_null() ? init_net_ : spec.net).raw());
  const bool is_v4 = spec.local.address.family == IpFamily::V4;
  builder_.write(at(sock, "sock_common", is_v4 ? "skc_rcv_saddr" : "skc_v6_rcv_saddr"),
                 spec.local.address.octets());
  builder_.write(at(sock, "sock_common", is_v4 ? "skc_daddr" : "skc_v6_daddr"),
                 spec.remote.address.octets());
}

void LinuxImage::put_in_table(GuestVirtual sock, const SocketSpec &spec) {
  const GuestVirtual node = at(sock, "sock_common", "skc_node");
  const bool is_v4 = spec.local.address.family == IpFamily::V4;
  if (spec.type == 3) {
    push(element(at(is_v4 ? raw_v4_ : raw_v6_, "raw_hashinfo", "ht"), spec.protocol, 8), node);
  } else if (spec.protocol != 6) {
    push(element(udp_slots_, spec.local.port % 256U, 16), node);
  } else if (spec.state == 10) {
    push(element(listening_, spec.local.port % 32U, 16).plus_wrapping(8), node);
  } else { // two to a bucket, so that chains are walked
    push(element(established_, next_bucket_ / 2 % buckets_, 8), node);
    ++next_bucket_;
  }
}

SocketObjects LinuxImage::add_socket(const SocketSpec &spec) {
  SocketObjects made{make("sock"), {}};
  fill_common(made.sock, spec);
  set(made.sock, "sock", "sk_type", spec.type);
  set(made.sock, "sock", "sk_protocol", spec.protocol);
  if (spec.has_socket) {
    made.socket = make("socket_alloc");
    set(made.sock, "sock", "sk_socket", made.socket.raw());
    set(made.socket, "socket_alloc", "socket.sk", made.sock.raw());
    set(made.socket, "socket_alloc", "vfs_inode.i_ino", spec.inode);
  }
  if (spec.in_table) {
    put_in_table(made.sock, spec);
  }
  return made;
}

GuestVirtual LinuxImage::add_minisock(std::uint8_t state, const Endpoint &local,
                                      const Endpoint &remote, std::uint8_t substate) {
  // At the end of a page with nothing mapped behind it: reading struct sock there must fail.
  const std::uint32_t size = types_.size_of("inet_timewait_sock").value();
  const GuestVirtual page = builder_.allocate(12288, 4096);
  builder_.unmap(page.plus_wrapping(4096));
  const GuestVirtual sock = page.plus_wrapping(4096 - size);
  const SocketSpec spec{.state = state, .local = local, .remote = remote};
  fill_common(sock, spec);
  set(sock, "inet_timewait_sock", "tw_substate", substate);
  put_in_table(sock, spec);
  return sock;
}

GuestVirtual LinuxImage::hold(GuestVirtual task, std::uint32_t fd, const SocketObjects &socket) {
  GuestVirtual &file = files_of_sockets_[socket.socket];
  if (file.is_null()) {
    file = make("file");
    set(file, "file", "f_op", socket_operations_.raw());
    set(file, "file", "private_data", socket.socket.raw());
    const GuestVirtual inode = make("inode");
    set(inode, "inode", "i_mode", 0140777);
    set(file, "file", "f_inode", inode.raw());
    set(socket.socket, "socket_alloc", "socket.file", file.raw());
  }
  put_descriptor(task, fd, file);
  return file;
}

} // namespace outguard::guest
