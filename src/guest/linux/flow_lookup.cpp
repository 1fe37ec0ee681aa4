#include "guest/linux/flow_lookup.h"

namespace outguard::guest {

std::optional<SocketTable> FlowLookup::read(const FlowTuple &flow, Reach reach,
                                            KernelReader &reader) {
  SocketTable table;
  table.read_at = wall_now();
  const auto socks = sockets_.find(flow, reader);
  if (!socks) {
    return std::nullopt;
  }
  for (const Sock &sock : *socks) {
    SocketRow row;
    row.sock = sock;
    row.in_table = true;
    if (!owners_.add_holders(row, reach, table, reader)) {
      return std::nullopt;
    }
    table.rows.push_back(row);
  }
  return reader.cut_short() ? std::nullopt : std::optional(std::move(table));
}

void FlowLookup::learn(const SocketTable &whole, KernelReader &reader) {
  sockets_.check(whole.rows, reader);
  owners_.learn(whole);
}

} // namespace outguard::guest
