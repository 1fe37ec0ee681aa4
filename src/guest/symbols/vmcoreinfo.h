#pragma once
// The VMCOREINFO note that Linux keeps for crash dumps
// (Documentation/admin-guide/kdump/vmcoreinfo.rst): text lines "KEY=value". RAM may hold stale or
// planted copies: what it says is a claim to be checked.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guest/memory/address_space.h"

namespace outguard::guest {

struct Vmcoreinfo {
  std::string release;                         ///< OSRELEASE
  std::optional<std::uint64_t> swapper_pg_dir; ///< virtual address of the page-table root
  std::optional<std::uint64_t> phys_base;      ///< modulo 2^64
  std::optional<std::uint64_t> kernel_offset;  ///< KASLR, bytes
  std::optional<bool> five_levels;

  /// Guest-physical address of the page-table root; nullopt when it is not told.
  [[nodiscard]] std::optional<GuestPhysical> root() const;
};

inline constexpr std::size_t kMaxVmcoreinfoBytes = 4096; ///< the kernel gives it one page

/// The text, without the note around it. Unknown and broken lines are skipped; nullopt without a
/// release.
[[nodiscard]] std::optional<Vmcoreinfo> parse_vmcoreinfo(std::string_view text);

/// The text of the ELF note at the start of `page`; nullopt when there is none.
[[nodiscard]] std::optional<std::string_view> vmcoreinfo_note(std::span<const std::uint8_t> page);

struct VmcoreinfoCandidate {
  GuestPhysical page;
  Vmcoreinfo claim;
};
/// Called now and then during a scan: bytes looked at, bytes of RAM.
using ScanProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// Looks at the start of every page of RAM; at most `most` candidates, lowest address first. Claims
/// that are not `wanted` do not count, so that no number of planted notes hides the kernel's.
[[nodiscard]] Result<std::vector<VmcoreinfoCandidate>>
scan_for_vmcoreinfo(MemoryReader &memory, std::size_t most,
                    const std::function<bool(const Vmcoreinfo &)> &wanted,
                    const ScanProgress &progress = {});

} // namespace outguard::guest
