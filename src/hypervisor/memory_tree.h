#pragma once
// Where RAM is in a guest's physical address space, out of QEMU's own `info mtree -f` text. Pure.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace outguard::hypervisor {

/// One run of one memory block without a hole: its distance to QEMU's address is constant.
struct RamRange {
  std::uint64_t start = 0; ///< guest-physical
  std::uint64_t length = 0;
  std::uint64_t block_offset = 0; ///< of `start` in the block
  std::string block;              ///< QEMU's name of the block ("pc.ram")
  bool writable = false;          ///< RAM; false for ROM and flash that is read like RAM

  bool operator==(const RamRange &) const = default;
};

/// Ranges of the view that CPUs have outside system management mode, lowest first, neighbours that
/// continue each other in one block merged. Device memory (VFIO BARs) is left out: reading it can
/// act on the device. InvalidInput: no such view, or ranges that overlap; LimitReached: too many.
[[nodiscard]] Result<std::vector<RamRange>> parse_memory_tree(std::string_view text);

/// The address in `gpa2hva`'s answer: "Host virtual address for 0x0 (pc.ram) is 0x7fae3fe00000".
[[nodiscard]] Result<std::uint64_t> parse_host_address(std::string_view text);

} // namespace outguard::hypervisor
