#pragma once
// Adds to a LinuxImage what sockets are held in without a descriptor, and sockets of other
// families: messages on unix sockets, io_urings, unix names, netlink and packet sockets. Defines
// their types, so it must be made before the image's first socket. Borrows the image. One thread at
// a time.

#include <string_view>
#include <vector>

#include "guest/testing/linux_image.h"

namespace outguard::guest {

class HoldingBuilder {
public:
  explicit HoldingBuilder(LinuxImage &image);

  /// A socket that has a file, and no descriptor: `task` lends it one for a moment.
  GuestVirtual file_of(const SocketObjects &socket, GuestVirtual task);
  /// Puts a message with these files at the end of the socket's queue. Returns the scm_fp_list.
  GuestVirtual send(const SocketObjects &receiver, const std::vector<GuestVirtual> &files);
  /// A file that is an io_uring with these slots (0: empty), flag bits and all. Returns the file.
  GuestVirtual add_ring(const std::vector<std::uint64_t> &slots);
  [[nodiscard]] GuestVirtual ring_of(GuestVirtual file);

  SocketObjects add_unix(std::uint64_t inode, std::uint8_t state = 7);
  /// `name` as in sockaddr_un.sun_path; `length` is what unix_address.len says.
  void name_unix(const SocketObjects &socket, std::string_view name, std::uint32_t length);
  SocketObjects add_netlink(std::uint64_t inode, std::uint32_t port, std::uint64_t groups);
  /// In the namespace's list; `device` empty: all of them.
  SocketObjects add_packet(std::uint64_t inode, std::uint16_t ether_type, std::string_view device);

private:
  LinuxImage &image_;
  GuestVirtual ring_operations_;
};

} // namespace outguard::guest
