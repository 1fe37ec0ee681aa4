#pragma once
// Sockets that a process holds and that a table of the kernel's should have and has not: whether
// that is so, or only seemed so while the tables changed. Borrows the layout and the tables.

#include "guest/linux/kernel_reader.h"
#include "guest/linux/socket_table.h"
#include "guest/linux/socket_tables.h"

namespace outguard::guest {

class HiddenSockets {
public:
  HiddenSockets(const LinuxLayout &layout, const SocketTables &tables)
      : layout_(layout), tables_(tables) {}

  /// Marks the rows. With All also those that are linked to something that is none of the tables,
  /// which takes another walk over all of them.
  void find(SocketTable &table, SocketScope scope, const AddressSpace &space) const;

private:
  class Doubt;

  const LinuxLayout &layout_;
  const SocketTables &tables_;
};

} // namespace outguard::guest
