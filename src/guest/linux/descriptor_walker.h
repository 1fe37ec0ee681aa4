#pragma once
// Who holds which socket: the descriptor tables of every process, and of every thread that has one
// of its own. Borrows the layout. Each finding is checked against its own back links and against
// the descriptor's slot after it was followed, so a file that was closed and reused is not
// mistaken.

#include <array>
#include <optional>
#include <span>
#include <vector>

#include "guest/linux/completeness.h"
#include "guest/linux/kernel_reader.h"
#include "guest/linux/linux_layout.h"
#include "guest/linux/task_list.h"
#include "guest/symbols/symbol_table.h"

namespace outguard::guest {

/// "Descriptor `fd` of leaders[`leader`] is this socket."
struct Holder {
  std::uint32_t leader = 0;
  std::int32_t fd = -1;
  GuestVirtual slot;   ///< where the descriptor table has the pointer
  GuestVirtual file;   ///< and what it was
  GuestVirtual socket; ///< struct socket
  GuestVirtual sock;   ///< struct sock, of any family
  std::uint64_t inode = 0;
};

class DescriptorWalker {
public:
  DescriptorWalker(const LinuxLayout &layout, const TaskList &tasks, const SymbolTable &symbols)
      : layout_(layout), tasks_(tasks), socket_operations_(symbols.find("socket_file_ops")) {}

  [[nodiscard]] std::vector<Holder> walk(std::span<const Task> leaders, KernelReader &reader,
                                         Completeness &completeness) const;

private:
  class Pass;
  void add_process(Pass &pass, const Task &leader, std::uint32_t index, KernelReader &reader,
                   Completeness &completeness) const;

  const LinuxLayout &layout_;
  const TaskList &tasks_;
  std::optional<GuestVirtual> socket_operations_;
};

} // namespace outguard::guest
