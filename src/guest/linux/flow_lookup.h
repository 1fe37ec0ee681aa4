#pragma once
// The shortest way from a flow to its owner: bucket -> sock -> file -> processes, read now, without
// the table of all sockets. Owns what makes it short: trust in the kernel's hashes, and a memory of
// who held what. One thread at a time.

#include <optional>

#include "guest/linux/flow_sockets.h"
#include "guest/linux/owner_search.h"

namespace outguard::guest {

class FlowLookup {
public:
  FlowLookup(const LinuxLayout &layout, const TaskList &tasks, const TypeTable &types,
             const SymbolTable &symbols)
      : sockets_(layout, types, symbols), owners_(layout, tasks, types) {}

  /// A table of only those sockets that decide whose the flow is, with every holder. nullopt: that
  /// cannot be told without a whole table.
  [[nodiscard]] std::optional<SocketTable> read(const FlowTuple &flow, Reach reach,
                                                KernelReader &reader);
  /// What a whole table teaches; without one, read() knows nothing.
  void learn(const SocketTable &whole, KernelReader &reader);

private:
  FlowSockets sockets_;
  OwnerSearch owners_;
};

} // namespace outguard::guest
