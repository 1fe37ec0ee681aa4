#pragma once
// The few registers of a virtual CPU that lead to its kernel. They are the guest's: any value may
// stand in any of them.

#include <cstdint>
#include <string_view>
#include <vector>

#include "guest/bytes/address.h"

namespace outguard::guest {

struct CpuRegisters {
  std::uint64_t cr0 = 0;
  std::uint64_t cr3 = 0;
  std::uint64_t cr4 = 0;
  std::uint64_t rip = 0;
  std::uint64_t idt_base = 0;
  bool long_mode = false; ///< EFER.LMA: 64-bit paging is on

  [[nodiscard]] bool five_levels() const { return (cr4 >> 12 & 1) != 0; } // CR4.LA57
};

inline constexpr std::size_t kMaxCpus = 1024; ///< QEMU 7.2 allows 288 on q35, later ones 1024

/// Reads HMP's `info registers -a`. What does not look like it is skipped; a CPU block without CR3
/// is left out; at most kMaxCpus.
[[nodiscard]] std::vector<CpuRegisters> parse_registers(std::string_view text);

} // namespace outguard::guest
