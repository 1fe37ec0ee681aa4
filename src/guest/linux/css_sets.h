#pragma once
// The kernel's css_sets, one for each combination of cgroups in use, each with the lists of the
// tasks that are in it. Owns offsets only. Every walk is bounded by the reader's budget.

#include <optional>
#include <string>
#include <vector>

#include "guest/linux/completeness.h"
#include "guest/linux/kernel_reader.h"
#include "guest/linux/list_walk.h"
#include "guest/symbols/symbol_table.h"

namespace outguard::guest {

class CssSets {
public:
  /// nullopt: `missing` names what this kernel lacks.
  [[nodiscard]] static std::optional<CssSets>
  bind(const TypeTable &types, const SymbolTable &symbols, std::string &missing);

  struct TaskHead {
    GuestVirtual head;
    GuestVirtual first;
  };
  /// All that the kernel's hash table leads to.
  [[nodiscard]] std::vector<GuestVirtual> walk(KernelReader &reader,
                                               Completeness &completeness) const;
  /// The task lists of one, those that are not empty.
  [[nodiscard]] Result<std::vector<TaskHead>> heads_of(GuestVirtual set,
                                                       KernelReader &reader) const;

private:
  GuestVirtual table_;
  Extent set_;
  Member node_; ///< in the hash table
  std::vector<Member> heads_;
};

} // namespace outguard::guest
