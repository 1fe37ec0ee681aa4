#pragma once
// Who holds which socket: the descriptor tables of every process, and of every thread that has one
// of its own. Borrows the layout. Each finding is followed twice, in two generations of memory (see
// KernelReader), so a file that was closed and reused in between is not mistaken.

#include <array>
#include <optional>
#include <span>
#include <vector>

#include "facts/socket_seen.h"
#include "guest/linux/completeness.h"
#include "guest/linux/kernel_reader.h"
#include "guest/linux/linux_layout.h"
#include "guest/linux/task_list.h"
#include "guest/symbols/symbol_table.h"

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

class DescriptorWalker {
public:
  DescriptorWalker(const LinuxLayout &layout, const TaskList &tasks, const SymbolTable &symbols)
      : layout_(layout), tasks_(tasks), socket_operations_(symbols.find("socket_file_ops")),
        io_uring_operations_(symbols.find("io_uring_fops")) {}

  [[nodiscard]] std::vector<Holder> walk(std::span<const Task> leaders, KernelReader &reader,
                                         Completeness &completeness) const;
  /// What that one file is, without leader, descriptor and slot; nullopt: no socket, no io_uring.
  [[nodiscard]] Result<std::optional<Holder>> follow(GuestVirtual file, KernelReader &reader) const;

private:
  class Pass;
  void add_process(Pass &pass, const Task &leader, std::uint32_t index, KernelReader &reader,
                   Completeness &completeness) const;
  /// Read anew: still there, and with that table?
  [[nodiscard]] bool still_runs(const Task &leader, KernelReader &reader) const;

  const LinuxLayout &layout_;
  const TaskList &tasks_;
  std::optional<GuestVirtual> socket_operations_, io_uring_operations_;
};

} // namespace outguard::guest
