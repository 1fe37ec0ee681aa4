#include "guest/memory/dump_notes.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include <elf.h>

#include "guest/bytes/byte_cursor.h"

namespace outguard::guest {
namespace {

using namespace std::string_view_literals;

/// QEMUCPUState (target/i386/arch_dump.c), version 1: positions in the note's data.
namespace cpu_state {
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kBytes = 0x1b8; // the gs base at the end may be missing in older ones
constexpr std::size_t kRip = 8 + 16 * 8;
constexpr std::size_t kSegments = kRip + 16; // cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt
constexpr std::size_t kSegmentBytes = 24;    // selector, limit, flags, padding: u32; base: u64
constexpr std::size_t kCsFlags = kSegments + 8;
constexpr std::size_t kIdtBase = kSegments + 9 * kSegmentBytes + 16;
constexpr std::size_t kCr = kSegments + 10 * kSegmentBytes;
constexpr std::uint64_t kCodeIs64Bit = 1U << 21;             // L in the descriptor
constexpr std::uint64_t kPhysicalAddressExtension = 1U << 5; // CR4.PAE
} // namespace cpu_state

std::uint64_t u64_at(std::span<const std::uint8_t> bytes, std::size_t position) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.subspan(position, sizeof value).data(), sizeof value);
  return value;
}

std::optional<CpuRegisters> parse_cpu_state(std::span<const std::uint8_t> data) {
  using namespace cpu_state;
  ByteCursor cursor(data);
  if (cursor.le32().value_or(0) != kVersion || data.size() < kBytes) {
    return std::nullopt;
  }
  CpuRegisters cpu;
  cpu.rip = u64_at(data, kRip);
  cpu.idt_base = u64_at(data, kIdtBase);
  cpu.cr0 = u64_at(data, kCr);
  cpu.cr3 = u64_at(data, kCr + 24);
  cpu.cr4 = u64_at(data, kCr + 32);
  // EFER is not in the note. 64-bit code proves long mode; a 32-bit program under a 64-bit kernel
  // has the kernel's interrupt table, above 4 GiB.
  cpu.long_mode = (u64_at(data, kCsFlags) & kCodeIs64Bit) != 0 ||
                  ((cpu.cr4 & kPhysicalAddressExtension) != 0 && cpu.idt_base >> 32 != 0);
  return cpu;
}

std::size_t aligned(std::size_t size) {
  return (size + 3) & ~std::size_t{3};
}

} // namespace

Opened<void> parse_dump_notes(std::span<const std::uint8_t> notes, std::uint64_t offset,
                              std::vector<CpuRegisters> &registers) {
  ByteCursor cursor(notes);
  while (cursor.remaining() >= sizeof(Elf64_Nhdr)) {
    const std::uint64_t at = offset + cursor.position();
    Elf64_Nhdr header;
    std::memcpy(&header, cursor.take(sizeof header)->data(), sizeof header);
    const auto name = cursor.take(aligned(header.n_namesz));
    const auto data = cursor.take(header.n_descsz);
    if (!name || !data) {
      return problem("a note reaches past the end of the notes", at);
    }
    // The padding is absent at the end.
    static_cast<void>(
        cursor.skip(std::min(aligned(header.n_descsz) - header.n_descsz, cursor.remaining())));
    const auto is_from = [&](std::string_view owner) {
      return header.n_namesz == owner.size() &&
             std::ranges::equal(name->first(owner.size()), owner);
    };
    if (is_from("CORE\0"sv) && (header.n_type == NT_AUXV || header.n_type == NT_FILE)) {
      return problem("the core of a process, no memory of a machine", at);
    }
    const auto cpu =
        is_from("QEMU\0"sv) && registers.size() < kMaxCpus ? parse_cpu_state(*data) : std::nullopt;
    if (cpu) {
      registers.push_back(*cpu);
    }
  }
  return {};
}

} // namespace outguard::guest
