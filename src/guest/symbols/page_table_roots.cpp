#include "guest/symbols/page_table_roots.h"

#include <algorithm>

namespace outguard::guest {
namespace {

constexpr std::uint64_t kPagingOn = std::uint64_t{1} << 31; // CR0.PG
constexpr std::uint64_t kRootMask = 0x000f'ffff'ffff'f000;  // CR3 without PCID and flags
constexpr std::uint64_t kUserRootBit =
    0x1000; ///< PTI_USER_PGTABLE_BIT: user root behind the kernel's

} // namespace

std::vector<PageTableRoot> page_table_roots(std::span<const CpuRegisters> registers) {
  std::vector<PageTableRoot> roots;
  for (const CpuRegisters &cpu : registers) {
    if (!cpu.long_mode || (cpu.cr0 & kPagingOn) == 0) {
      continue;
    }
    const auto levels = cpu.five_levels() ? PagingLevels::Five : PagingLevels::Four;
    const std::uint64_t table = cpu.cr3 & kRootMask;
    for (const std::uint64_t candidate : {table, table & ~kUserRootBit}) {
      const PageTableRoot root{GuestPhysical(candidate), levels};
      if (roots.size() < kMaxRoots && std::find(roots.begin(), roots.end(), root) == roots.end()) {
        roots.push_back(root);
      }
    }
  }
  return roots;
}

} // namespace outguard::guest
