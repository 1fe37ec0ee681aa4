#pragma once
// The kernel's table of pid numbers: the IDR of the root pid namespace and of every one below it,
// each a radix tree of struct pid. It is what the guest's own /proc lists and what kill(2) looks
// in. Owns offsets only. Every walk is bounded by the reader's budget.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "guest/linux/completeness.h"
#include "guest/linux/kernel_reader.h"
#include "guest/symbols/symbol_table.h"

namespace outguard::guest {

/// A struct pid as one or more tables lead to it.
struct PidSeen {
  GuestVirtual task;           ///< whose thread id it is; null: nobody's (any more, or yet)
  GuestVirtual leader;         ///< the process whose id it is; null: only a thread's
  std::uint32_t levels = 0;    ///< namespaces that must list it: its own and all above
  std::uint32_t listed_in = 0; ///< of those, how many do, at its number

  [[nodiscard]] bool is_listed_everywhere() const { return listed_in == levels; }
};

class PidTable {
public:
  using Pids = std::map<GuestVirtual, PidSeen>; ///< by address of the struct pid

  /// nullopt: `missing` names what this kernel lacks.
  [[nodiscard]] static std::optional<PidTable>
  bind(const TypeTable &types, const SymbolTable &symbols, std::string &missing);

  /// All namespaces: the root one, and those that the pids found lead to.
  [[nodiscard]] Pids walk(KernelReader &reader, Completeness &completeness) const;
  /// What the root namespace's slots hold, without looking at it.
  [[nodiscard]] std::vector<GuestVirtual> slots(KernelReader &reader,
                                                Completeness &completeness) const;
  /// One struct pid; `levels` is set, `listed_in` is not.
  [[nodiscard]] Result<PidSeen> read(GuestVirtual number, KernelReader &reader) const;

private:
  struct Slot {
    std::uint64_t index = 0;
    GuestVirtual number;
  };
  /// struct upid: the number in one namespace.
  struct Number {
    GuestVirtual space;
    std::uint64_t value = 0;
  };
  struct Place {
    GuestVirtual node;
    std::uint64_t base = 0;             ///< its first index
    std::optional<std::uint64_t> shift; ///< what the node must say; the head: any
  };

  [[nodiscard]] std::vector<Slot> slots_of(GuestVirtual space, KernelReader &reader,
                                           Completeness &completeness) const;
  [[nodiscard]] Result<void> open_node(const Place &place, std::vector<Slot> &slots,
                                       std::vector<Place> &below, KernelReader &reader) const;
  [[nodiscard]] Result<std::vector<Number>> numbers_of(GuestVirtual number, std::uint32_t levels,
                                                       KernelReader &reader) const;
  /// Of the hlist's first node, of task_struct.pid_links[type].
  [[nodiscard]] GuestVirtual task_at(GuestVirtual link, std::uint32_t type) const;

  GuestVirtual root_space_;
  std::uint32_t tree_ = 0; ///< offset of the tree's head in pid_namespace
  Extent node_;
  Member shift_, entries_;
  Extent pid_;
  Member level_, tasks_;
  std::uint32_t numbers_ = 0; ///< offset in struct pid
  std::uint32_t upid_size_ = 0;
  Member upid_number_, upid_space_;
  std::uint32_t pid_links_ = 0; ///< offset in task_struct
};

} // namespace outguard::guest
