#pragma once
// How a process holds a socket, and where in the guest's memory that stands, to be looked at again.

#include <cstdint>

#include "facts/socket_seen.h"
#include "guest/bytes/address.h"
#include "guest/linux/kernel_reader.h"
#include "guest/linux/linux_layout.h"

namespace outguard::guest {

/// "Descriptor `fd` of leaders[`leader`] is this socket." Or is an io_uring, which may hold
/// sockets: then there is no sock.
struct Holder {
  std::uint32_t leader = 0;
  std::int32_t fd = -1;
  GuestVirtual slot;   ///< where the descriptor table has the pointer
  GuestVirtual file;   ///< and what it was
  GuestVirtual socket; ///< struct socket; of an io_uring: io_ring_ctx
  GuestVirtual sock;   ///< struct sock, of any family
  std::uint64_t inode = 0;
  Hold hold = Hold::Descriptor; ///< else `slot` is where a message or an io_uring has the pointer

  [[nodiscard]] bool is_io_uring() const { return sock.is_null(); }
};

/// Read anew: the slot leads to that file, and the file to that socket?
[[nodiscard]] bool is_still_held(const Holder &holder, const FileLayout &layout,
                                 KernelReader &reader);

} // namespace outguard::guest
