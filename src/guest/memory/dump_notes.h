#pragma once
// The ELF notes of a dump: what QEMU wrote about its CPUs. NT_PRSTATUS, which others write too, has
// no CR3 and is not looked at.

#include <cstdint>
#include <span>
#include <vector>

#include "guest/memory/cpu_registers.h"
#include "guest/memory/source_problem.h"

namespace outguard::guest {

constexpr std::uint64_t kMaxNoteBytes = std::uint64_t{16} << 20; ///< 1024 CPUs take 1 MiB

/// Adds to `registers`, at most kMaxCpus in all. `offset`: of the notes in the file, for problems.
/// Refuses the core of a process, which has notes of its own, and notes that reach past their end.
[[nodiscard]] Opened<void> parse_dump_notes(std::span<const std::uint8_t> notes,
                                            std::uint64_t offset,
                                            std::vector<CpuRegisters> &registers);

} // namespace outguard::guest
