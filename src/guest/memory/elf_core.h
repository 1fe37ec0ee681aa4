#pragma once
// ELF cores of whole machines: QEMU's dump-guest-memory with and without -p, virsh dump
// --memory-only (the same writer), makedumpfile -E, /proc/vmcore and /proc/kcore.

#include <vector>

#include "guest/memory/cpu_registers.h"
#include "guest/memory/file_bytes.h"
#include "guest/memory/segmented_dump.h"

namespace outguard::guest {

struct ElfCore {
  std::vector<DumpSegment> segments; ///< may overlap
  std::vector<CpuRegisters> registers;
};

[[nodiscard]] Opened<ElfCore> parse_elf_core(const FileBytes &file);

} // namespace outguard::guest
