#pragma once
// Builds ELF cores as QEMU's dump-guest-memory writes them. The headers are plain structs that a
// test may spoil before build().

#include <cstdint>
#include <span>
#include <vector>

#include <elf.h>

#include "base/fd.h"

namespace outguard::guest {

class ElfCoreBuilder {
public:
  ElfCoreBuilder();

  /// A PT_LOAD with these bytes.
  void add_memory(std::uint64_t guest_physical, std::vector<std::uint8_t> bytes);
  /// A PT_LOAD whose bytes are those of the segment added `back` calls before, as -p writes it.
  void add_alias(std::uint64_t guest_physical, std::size_t segment, std::uint64_t offset,
                 std::uint64_t length);
  /// A QEMU note of one vCPU in 64-bit mode.
  void add_cpu(std::uint64_t cr3, std::uint64_t cr4, std::uint64_t idt_base);

  Elf64_Ehdr header{};
  std::vector<Elf64_Phdr> segments; ///< p_offset is set by build() unless it was already
  std::vector<std::uint8_t> notes;

  /// Headers, notes and memory, in this order.
  [[nodiscard]] std::vector<std::uint8_t> build() const;

private:
  struct Alias {
    std::size_t segment = 0;
    std::uint64_t offset = 0;
  };
  std::vector<std::vector<std::uint8_t>> bytes_; ///< one a segment; an alias has none
  std::vector<Alias> aliases_;                   ///< one a segment
};

/// An anonymous file with these bytes.
[[nodiscard]] Fd file_of(std::span<const std::uint8_t> bytes);

} // namespace outguard::guest
