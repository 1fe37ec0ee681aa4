#pragma once
// The join of the kernel's socket tables and the processes' descriptors: every socket with every
// process that holds it. Where a socket has a file and no descriptor leads to it, the other ways to
// hold one are searched (HeldSockets). Borrows its parts.

#include <cstdint>

#include "guest/linux/descriptor_walker.h"
#include "guest/linux/held_sockets.h"
#include "guest/linux/hidden_sockets.h"
#include "guest/linux/other_sockets.h"
#include "guest/linux/socket_table.h"
#include "guest/linux/socket_tables.h"

namespace outguard::guest {

class LinuxSocketWalker {
public:
  LinuxSocketWalker(const LinuxLayout &layout, const TaskList &tasks, const TypeTable &types,
                    const SymbolTable &symbols)
      : layout_(layout), tasks_(tasks), tables_(layout, symbols),
        descriptors_(layout, tasks, symbols), held_(layout, tasks, descriptors_, types),
        hidden_(layout, tables_), other_tables_(layout, types, symbols), others_(layout, types) {}
  LinuxSocketWalker(const LinuxSocketWalker &) = delete;
  LinuxSocketWalker &operator=(const LinuxSocketWalker &) = delete;

  /// The tables first, then the descriptors: a connection accepted in between is then found with
  /// its owner, and one that was closed in between is looked at again.
  [[nodiscard]] SocketTable walk(KernelReader &reader, SocketScope scope = SocketScope::Ip) const;

  /// Reads the row's sock again, and of every process that holds it the task and one descriptor:
  /// all as it was?
  [[nodiscard]] bool is_unchanged(const SocketTable &table, const SocketRow &row,
                                  KernelReader &reader) const;

private:
  class Join;

  const LinuxLayout &layout_;
  const TaskList &tasks_;
  SocketTables tables_;
  DescriptorWalker descriptors_;
  HeldSockets held_;
  HiddenSockets hidden_;
  OtherSocketTables other_tables_;
  OtherSocketReader others_;
};

} // namespace outguard::guest
