#pragma once
// What every CPU runs and has queued: rq.curr, the fair class's list of all its queued tasks and
// the real-time queues. A task that runs at all comes by here, whatever else it was taken out of.
// Owns offsets only. Every walk is bounded by the reader's budget.

#include <optional>
#include <string>
#include <vector>

#include "guest/linux/completeness.h"
#include "guest/linux/view_task.h"
#include "guest/symbols/symbol_table.h"

namespace outguard::guest {

class RunQueues {
public:
  /// nullopt: `missing` names what this kernel lacks.
  [[nodiscard]] static std::optional<RunQueues>
  bind(const TypeTable &types, const SymbolTable &symbols, std::string &missing);

  /// A list of tasks: its head, and the node by which they hang in it.
  struct Queue {
    GuestVirtual head;
    GuestVirtual first;
    TaskNode node = TaskNode::Fair;
  };
  struct Seen {
    std::vector<GuestVirtual> running; ///< tasks; the idle ones too
    std::vector<Queue> queues;         ///< those that are not empty
  };
  [[nodiscard]] Seen read(KernelReader &reader, Completeness &completeness) const;

private:
  void read_one(GuestVirtual queue, KernelReader &reader, Seen &seen,
                Completeness &completeness) const;

  GuestVirtual first_;   ///< the per-CPU variable, as linked
  GuestVirtual offsets_; ///< __per_cpu_offset
  GuestVirtual cpus_;    ///< nr_cpu_ids
  Member running_;
  std::optional<Member> fair_;      ///< list head
  std::optional<Member> real_time_; ///< list heads, one a priority
};

} // namespace outguard::guest
