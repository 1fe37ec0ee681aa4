#pragma once
// One flow -> the processes that hold its socket. Owns the last two socket tables. A table older
// than the packet is read again, once for all packets before that moment; whatever is found in a
// table is checked against memory before it is told. Borrows the walkers. One thread at a time.
//
// Two network namespaces of a guest can hold the same addresses and ports, and a packet on the tap
// does not say which it came from: then the processes of both are listed and the answer is
// `ambiguous`.

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "facts/flow_seen.h"
#include "guest/linux/process_walker.h"
#include "guest/linux/socket_walker.h"

namespace outguard::guest {

class AttributionEngine {
public:
  AttributionEngine(const LinuxSocketWalker &sockets, const LinuxProcessWalker &processes)
      : sockets_(sockets), processes_(processes) {}

  [[nodiscard]] Attribution attribute(const FlowTuple &tuple, WallTime packet_time,
                                      KernelReader &reader);
  /// Reads the table anew, whatever its age.
  const SocketTable &refresh(KernelReader &reader);

private:
  using Rows = std::vector<const SocketRow *>;

  /// A table with an index by 4-tuple, IPv4-mapped addresses as IPv4.
  struct Indexed {
    SocketTable table;
    std::vector<std::pair<FlowTuple, std::uint32_t>> by_flow; ///< sorted; to the index of the row

    void build();
    [[nodiscard]] Rows find(const FlowTuple &flow) const;
  };

  /// `rows` of `from`, all that match the flow; those without a holder name a namespace only.
  [[nodiscard]] Attribution answer(AttributionStatus status, const Indexed &from, const Rows &rows,
                                   KernelReader &reader) const;
  [[nodiscard]] static Attribution aged(Attribution answer, const Indexed &from);
  /// What the last table says. nullopt, with `may_retry`: the guest says otherwise by now.
  [[nodiscard]] std::optional<Attribution> from_last_table(const FlowTuple &flow, bool may_retry,
                                                           KernelReader &reader) const;
  [[nodiscard]] Attribution without_owner(const FlowTuple &flow, const Rows &rows,
                                          KernelReader &reader) const;
  /// Sockets bound to the flow's local end and to no remote one, the most specific ones only.
  [[nodiscard]] Rows bound_to(const FlowTuple &flow) const;
  /// All in one namespace, and held by the same processes?
  [[nodiscard]] bool have_same_owners(const Rows &rows) const;

  const LinuxSocketWalker &sockets_;
  const LinuxProcessWalker &processes_;
  Indexed last_;
  Indexed previous_;
};

} // namespace outguard::guest
