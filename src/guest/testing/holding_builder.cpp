#include "guest/testing/holding_builder.h"

#include <string>

namespace outguard::guest {
namespace {

constexpr std::uint32_t kMessageFiles = 253; // SCM_MAX_FD

} // namespace

HoldingBuilder::HoldingBuilder(LinuxImage &image) : image_(image) {
  image_.grow("sock", "sk_receive_queue.next", 8);
  image_.grow("sock", "sk_receive_queue.prev", 8);
  image_.grow("sock", "sk_uid.val", 4);
  image_.grow("sock", "sk_lock.slock.rlock.raw_lock.val.counter", 4);
  image_.grow("sock", "sk_lock.owned", 4);
  // Of every family, since LinuxImage makes a socket with the size of struct sock.
  for (const auto &[type, member] :
       std::vector<std::pair<std::string, std::string>>{{"unix_sock", "addr"},
                                                        {"unix_sock", "peer"},
                                                        {"netlink_sock", "portid"},
                                                        {"netlink_sock", "ngroups"},
                                                        {"netlink_sock", "groups"},
                                                        {"netlink_sock", "node"},
                                                        {"packet_sock", "num"},
                                                        {"packet_sock", "prot_hook.dev"}}) {
    std::string inside = type;
    inside.append(".").append(member);
    image_.grow("sock", inside, 8);
    const std::uint32_t size = member == "num" ? 2 : 8;
    image_.types().add_member(type, member,
                              {image_.types().member("sock", inside)->offset, size, 0, 0});
  }
  image_.grow("sk_buff", "next", 8);
  image_.grow("sk_buff", "prev", 8);
  image_.grow("sk_buff", "sk", 8);
  image_.grow("sk_buff", "cb", 48);
  image_.types().add_member("unix_skb_parms", "fp", {16, 8, 0, 0});
  image_.grow("scm_fp_list", "count", 2);
  image_.grow("scm_fp_list", "fp", kMessageFiles * 8);
  image_.grow("io_ring_ctx", "file_table.files", 8);
  image_.grow("io_ring_ctx", "nr_user_files", 4);
  image_.grow("io_fixed_file", "file_ptr", 8);
  image_.grow("unix_address", "len", 4);
  image_.grow("unix_address", "name", 0);
  image_.grow("net_device", "name", 16);
  // The first namespace is made already: what lies behind an object is a gap.
  image_.grow("net", "packet.sklist.first", 8);
  ring_operations_ = image_.builder().allocate(64);
  image_.symbols().add("io_uring_fops", ring_operations_);
}

GuestVirtual HoldingBuilder::file_of(const SocketObjects &socket, GuestVirtual task) {
  constexpr std::uint32_t kLent = 60;
  const GuestVirtual file = image_.hold(task, kLent, socket);
  image_.put_descriptor(task, kLent, GuestVirtual{});
  return file;
}

GuestVirtual HoldingBuilder::send(const SocketObjects &receiver,
                                  const std::vector<GuestVirtual> &files) {
  GuestImageBuilder &builder = image_.builder();
  const GuestVirtual list = builder.allocate(image_.types().size_of("scm_fp_list").value());
  image_.set(list, "scm_fp_list", "count", files.size());
  for (std::size_t index = 0; index < files.size(); ++index) {
    builder.put_pointer(image_.at(list, "scm_fp_list", "fp").plus_wrapping(index * 8),
                        files[index]);
  }
  const GuestVirtual buffer = builder.allocate(image_.types().size_of("sk_buff").value());
  builder.put_pointer(image_.at(buffer, "sk_buff", "cb").plus_wrapping(16), list);
  const GuestVirtual head = image_.at(receiver.sock, "sock", "sk_receive_queue.next");
  GuestVirtual last(image_.get(receiver.sock, "sock", "sk_receive_queue.prev"));
  last = last.is_null() ? head : last;
  builder.put_pointer(buffer, head);
  builder.put_pointer(buffer.plus_wrapping(8), last);
  builder.put_pointer(last, buffer);
  builder.put_pointer(head.plus_wrapping(8), buffer);
  return list;
}

GuestVirtual HoldingBuilder::add_ring(const std::vector<std::uint64_t> &slots) {
  GuestImageBuilder &builder = image_.builder();
  const GuestVirtual ring = builder.allocate(image_.types().size_of("io_ring_ctx").value());
  const GuestVirtual table = builder.allocate(slots.size() * 8 + 8);
  for (std::size_t index = 0; index < slots.size(); ++index) {
    builder.put(table.plus_wrapping(index * 8), slots[index]);
  }
  image_.set(ring, "io_ring_ctx", "file_table.files", table.raw());
  image_.set(ring, "io_ring_ctx", "nr_user_files", slots.size());
  const GuestVirtual file = image_.open_file("/io_uring");
  image_.set(file, "file", "f_op", ring_operations_.raw());
  image_.set(file, "file", "private_data", ring.raw());
  return file;
}

GuestVirtual HoldingBuilder::ring_of(GuestVirtual file) {
  return GuestVirtual(image_.get(file, "file", "private_data"));
}

SocketObjects HoldingBuilder::add_unix(std::uint64_t inode, std::uint8_t state) {
  const auto made = image_.add_socket(
      {.protocol = 0, .state = state, .inode = inode, .in_table = false, .family = 1});
  const GuestVirtual head = image_.at(made.sock, "sock", "sk_receive_queue.next");
  image_.builder().put_pointer(head, head);
  image_.builder().put_pointer(head.plus_wrapping(8), head);
  return made;
}

void HoldingBuilder::name_unix(const SocketObjects &socket, std::string_view name,
                               std::uint32_t length) {
  const GuestVirtual address = image_.builder().allocate(128);
  image_.set(address, "unix_address", "len", length);
  const GuestVirtual at = image_.at(address, "unix_address", "name").plus_wrapping(2);
  image_.builder().write(at, {reinterpret_cast<const std::uint8_t *>(name.data()), name.size()});
  image_.set(socket.sock, "unix_sock", "addr", address.raw());
}

SocketObjects HoldingBuilder::add_netlink(std::uint64_t inode, std::uint32_t port,
                                          std::uint64_t groups) {
  const auto made = image_.add_socket(
      {.protocol = 15, .type = 3, .inode = inode, .in_table = false, .family = 16});
  const GuestVirtual bits = image_.builder().allocate(8);
  image_.builder().put(bits, groups);
  image_.set(made.sock, "netlink_sock", "portid", port);
  image_.set(made.sock, "netlink_sock", "ngroups", 64);
  image_.set(made.sock, "netlink_sock", "groups", bits.raw());
  return made;
}

SocketObjects HoldingBuilder::add_packet(std::uint64_t inode, std::uint16_t ether_type,
                                         std::string_view device) {
  const auto made = image_.add_socket(
      {.protocol = 0, .type = 3, .inode = inode, .in_table = false, .family = 17});
  image_.set(made.sock, "packet_sock", "num",
             static_cast<std::uint64_t>(ether_type >> 8 | (ether_type & 0xff) << 8));
  if (!device.empty()) {
    const GuestVirtual card = image_.builder().allocate(64);
    image_.builder().put_text(image_.at(card, "net_device", "name"), device);
    image_.set(made.sock, "packet_sock", "prot_hook.dev", card.raw());
  }
  const GuestVirtual head = image_.at(image_.init_net(), "net", "packet.sklist.first");
  const GuestVirtual node = image_.at(made.sock, "sock_common", "skc_node");
  image_.builder().put_pointer(head, node);
  image_.builder().put_pointer(node, GuestVirtual{});
  image_.builder().put_pointer(node.plus_wrapping(8), head);
  return made;
}

} // namespace outguard::guest
