#pragma once
// Who holds which socket: the descriptor tables of every process, and of every thread that has one
// of its own. Borrows the layout. Each finding is followed twice, in two generations of memory (see
// KernelReader), so a file that was closed and reused in between is not mistaken.

#include <optional>
#include <span>
#include <vector>

#include "guest/linux/completeness.h"
#include "guest/linux/holder.h"
#include "guest/linux/kernel_reader.h"
#include "guest/linux/linux_layout.h"
#include "guest/linux/socket_file_reader.h"
#include "guest/linux/task_list.h"
#include "guest/symbols/symbol_table.h"

namespace outguard::guest {

class DescriptorWalker {
public:
  DescriptorWalker(const LinuxLayout &layout, const TaskList &tasks, const SymbolTable &symbols)
      : layout_(layout), tasks_(tasks), operations_(FileOperations::find(symbols)) {}

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
  FileOperations operations_;
};

} // namespace outguard::guest
