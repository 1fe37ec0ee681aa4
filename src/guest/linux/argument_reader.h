#pragma once
// A process's command line, read from its own memory through its own page tables. What is not
// resident cannot be read: the answer is then a fault, never a shortened list.

#include <vector>

#include "facts/guest_text.h"
#include "guest/linux/kernel_reader.h"

namespace outguard::guest {

inline constexpr std::size_t kMostArgumentBytes = 4096;
inline constexpr std::size_t kMostArguments = 256;

/// `page_table` is mm->pgd, a kernel address; [begin, end) lies in the process's space. As /proc
/// shows it (fs/proc/base.c, get_mm_cmdline), cut at the caps above.
[[nodiscard]] Result<std::vector<GuestText>>
read_arguments(GuestVirtual page_table, GuestVirtual begin, GuestVirtual end, KernelReader &reader);

} // namespace outguard::guest
