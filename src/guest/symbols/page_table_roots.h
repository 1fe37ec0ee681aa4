#pragma once
// The page-table roots that a guest's CPUs use at a moment: where looking for its kernel begins.

#include <span>
#include <vector>

#include "guest/memory/address_space.h"
#include "guest/memory/cpu_registers.h"

namespace outguard::guest {

struct PageTableRoot {
  GuestPhysical table;
  PagingLevels levels = PagingLevels::Four;

  bool operator==(const PageTableRoot &) const = default;
};

/// Each once, at most kMaxRoots; CPUs without 64-bit paging have none. Under page-table isolation a
/// CPU in user mode has the user's root, which maps hardly any kernel: the kernel's beside it is
/// listed too.
[[nodiscard]] std::vector<PageTableRoot> page_table_roots(std::span<const CpuRegisters> registers);
inline constexpr std::size_t kMaxRoots = 8; ///< a search costs up to 60 ms a root

} // namespace outguard::guest
