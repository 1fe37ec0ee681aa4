#pragma once
// What a sensor knows about the guest's kernel, and the named states of a guest that it cannot
// read.

#include <cstdint>
#include <string>
#include <vector>

#include "facts/guest_text.h"

namespace outguard {

enum class GuestState : std::uint8_t {
  Starting, ///< the sensor has its handles and has not looked yet
  Booting, ///< code runs, and there is no complete kernel yet (firmware, boot loader, early kernel)
  NotLinux,   ///< a 64-bit kernel runs and it is not a Linux that we know how to read
  Unreadable, ///< memory or a self-check failed; the reason says which
  Ready,      ///< kernel found, self-check passed
  Gone,       ///< QEMU ended
};
[[nodiscard]] const char *to_string(GuestState state);

struct KernelSeen {
  GuestText release;               ///< "6.1.0-35-amd64"
  GuestText banner;                ///< linux_banner
  std::uint64_t text_base = 0;     ///< virtual address of _text
  std::uint64_t kaslr_offset = 0;  ///< against the link address 0xffffffff81000000
  std::uint64_t physical_base = 0; ///< phys_base, modulo 2^64
  std::uint8_t paging_levels = 0;  ///< 4 or 5
  std::string located_by;          ///< "registers" or "ram-scan"
  std::string symbols_from;        ///< "kallsyms" or "isf"
  std::string types_from;          ///< "btf" or "isf"
  std::string clock; ///< "moving", or "standing": not seen to move (idle or paused); empty: a dump
  std::vector<std::string> integrity; ///< kernel code or tables that lead elsewhere, in our words
  std::uint32_t integrity_checks = 0; ///< how many could be made
  std::uint32_t symbol_count = 0;
  // Time of each part of the attach, nanoseconds.
  std::uint64_t find_ns = 0;    ///< registers to kernel image
  std::uint64_t types_ns = 0;   ///< BTF found and indexed
  std::uint64_t symbols_ns = 0; ///< kallsyms found and indexed

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.release, self.banner, self.text_base, self.kaslr_offset, self.physical_base,
         self.paging_levels, self.located_by, self.symbols_from, self.types_from, self.clock,
         self.integrity, self.integrity_checks, self.symbol_count, self.find_ns, self.types_ns,
         self.symbols_ns);
  }
};

} // namespace outguard
