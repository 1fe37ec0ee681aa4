#pragma once
// A process's command line, read from its own memory through its own page tables. What is not
// resident cannot be read: the answer is then a fault, never a shortened list.

#include <vector>

#include "facts/guest_text.h"
#include "guest/linux/kernel_reader.h"

namespace outguard::guest {

inline constexpr std::size_t kMostArgumentBytes = 16384;
inline constexpr std::size_t kMostArguments = 1024;

struct ArgumentsFound {
  std::vector<GuestText> words;
  bool cut = false; ///< at the caps above; there is more
};

/// `page_table` is mm->pgd, a kernel address; [begin, end) lies in the process's space. As /proc
/// shows it (fs/proc/base.c, get_mm_cmdline): a program that wrote over its last NUL (setproctitle)
/// has a title there, one string, which may go on behind `end`.
[[nodiscard]] Result<ArgumentsFound> read_arguments(GuestVirtual page_table, GuestVirtual begin,
                                                    GuestVirtual end, KernelReader &reader);

} // namespace outguard::guest
