#pragma once
// One flow -> the processes that hold its socket. Takes the shortest way that there is: a table
// read after the packet, else a look-up of this flow alone, else a new table of everything.
// Whatever is found is checked against memory before it is told. Owns the last two tables and, of
// flows that were looked up, who had them. Borrows the walkers. One thread at a time.
//
// Two network namespaces of a guest can hold the same addresses and ports, and a packet on the tap
// does not say which it came from: then the processes of both are listed and the answer is
// `ambiguous`.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "facts/flow_seen.h"
#include "guest/linux/flow_lookup.h"
#include "guest/linux/process_walker.h"
#include "guest/linux/socket_walker.h"

namespace outguard::guest {

class AttributionEngine {
public:
  AttributionEngine(const LinuxSocketWalker &sockets, const LinuxProcessWalker &processes,
                    FlowLookup lookup)
      : sockets_(sockets), processes_(processes), lookup_(std::move(lookup)) {}

  [[nodiscard]] Attribution attribute(const FlowTuple &tuple, WallTime packet_time, WallTime began,
                                      KernelReader &reader);
  /// The same at a cost that does not grow with the guest: no table of everything, nor a search
  /// among everybody. nullopt: one of them is needed.
  [[nodiscard]] std::optional<Attribution> attribute_at_once(const FlowTuple &tuple,
                                                             WallTime packet_time, WallTime began,
                                                             KernelReader &reader);
  /// Reads the table anew, whatever its age.
  const SocketTable &refresh(KernelReader &reader);
  /// Tables cannot be compared with packets of now: the wall clock was set.
  void forget_ages();

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
  [[nodiscard]] Attribution aged_answer(const Indexed &from, const Rows &rows,
                                        KernelReader &reader) const;
  struct Match {
    AttributionStatus status =
        AttributionStatus::NotFound; ///< Exact or Listener, if it still holds
    Rows rows;                       ///< one at least is held, or status
  };                                 ///< is NotFound
  [[nodiscard]] static Match match(const FlowTuple &flow, const Indexed &in);
  [[nodiscard]] bool is_unchanged(const Rows &rows, const Indexed &from,
                                  KernelReader &reader) const;
  [[nodiscard]] std::optional<Attribution> without_a_new_table(const FlowTuple &flow,
                                                               WallTime packet_time, WallTime began,
                                                               Reach reach, KernelReader &reader);
  /// Of this flow alone, read now. nullopt: only a whole table can tell.
  [[nodiscard]] std::optional<Attribution> from_lookup(const FlowTuple &flow, Reach reach,
                                                       KernelReader &reader);
  /// What the last table says. nullopt, with `may_retry`: the guest says otherwise by now.
  [[nodiscard]] std::optional<Attribution> from_last_table(const FlowTuple &flow, WallTime began,
                                                           bool may_retry,
                                                           KernelReader &reader) const;
  [[nodiscard]] Attribution without_owner(const FlowTuple &flow, WallTime began, const Rows &rows,
                                          KernelReader &reader) const;
  /// Sockets bound to the flow's local end and to no remote one. Of listeners the most specific
  /// ones only; what is sent may come from a socket of all addresses as well (SO_REUSEADDR).
  [[nodiscard]] static Rows bound_to(const FlowTuple &flow, const SocketTable &table);
  /// All in one namespace, and held by the same processes?
  [[nodiscard]] static bool have_same_owners(const Rows &rows, const SocketTable &table);
  void remember(const FlowTuple &flow, Indexed found);

  const LinuxSocketWalker &sockets_;
  const LinuxProcessWalker &processes_;
  FlowLookup lookup_;
  Indexed last_;
  Indexed previous_;
  WallClockWatch wall_clock_;
  WallTime learned_{}; ///< when the table was read that the look-up learned from
  std::map<FlowTuple, Indexed> looked_up_;
  std::deque<FlowTuple> in_order_; ///< of looked_up_, oldest first
};

} // namespace outguard::guest
