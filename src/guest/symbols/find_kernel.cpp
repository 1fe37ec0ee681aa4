#include <algorithm>

#include "base/clock.h"
#include "guest/symbols/kernel.h"
#include "guest/symbols/kernel_search.h"
#include "guest/symbols/page_table_roots.h"
#include "guest/symbols/vmcoreinfo.h"

namespace outguard::guest {
namespace {

using Found = tl::expected<Kernel, KernelSearchFailure>;
using Root = PageTableRoot;

constexpr std::size_t kMaxNotes = 64; ///< of different roots that map themselves

/// What runs there when no CPU leads to a Linux image: an operating system has its interrupt table
/// in the upper half; firmware, boot loaders and the kernel's own decompressor have it in the
/// lower.
GuestState state_without_image(std::span<const CpuRegisters> registers) {
  const bool upper = std::any_of(registers.begin(), registers.end(), [](const CpuRegisters &cpu) {
    return cpu.long_mode && (cpu.idt_base >> 63) != 0;
  });
  return upper ? GuestState::NotLinux : GuestState::Booting;
}

Found find_by_registers(MemoryReader &memory, std::span<const CpuRegisters> registers,
                        const SearchHelp &help) {
  KernelSearchFailure worst =
      search_failure(state_without_image(registers), {FaultCode::NotFound, 0}).value();
  bool had_image = false;
  for (const Root &root : page_table_roots(registers)) {
    auto found = KernelSearch(memory, root, help.file).run(KernelSearch::Way::Registers);
    if (found) {
      return found;
    }
    const auto &why = found.error();
    if (why.fault.code == FaultCode::SourceGone) {
      return found;
    }
    // The reason of the attempt that came farthest is the one to tell: states are in that order.
    const bool no_image = why.state == GuestState::Booting && why.fault.code == FaultCode::NotFound;
    if (!no_image && (!had_image || why.state > worst.state)) {
      had_image = true;
      worst = why;
    }
  }
  return tl::unexpected(worst);
}

/// The cheap check: the claimed tables map themselves where the claim says. `seen`: those that do.
bool is_new_root(MemoryReader &memory, const Vmcoreinfo &claim, std::vector<Root> &seen) {
  const auto root = root_of(claim);
  if (!root) {
    return false;
  }
  const AddressSpace space(memory, root->table, root->levels);
  if (space.translate(GuestVirtual(*claim.swapper_pg_dir)) != root->table ||
      std::find(seen.begin(), seen.end(), *root) != seen.end()) {
    return false;
  }
  seen.push_back(*root);
  return true;
}

/// Without registers (a plain memory file). Every note is only a claim: its root must lead to a
/// whole kernel, which must vouch for it.
Found find_by_scan(MemoryReader &memory, const SearchHelp &help) {
  const auto started = monotonic_now();
  std::vector<Root> roots;
  const auto candidates = scan_for_vmcoreinfo(
      memory, kMaxNotes, [&](const auto &claim) { return is_new_root(memory, claim, roots); },
      help.progress);
  if (!candidates) {
    return search_failure(GuestState::Unreadable, candidates.error());
  }
  const auto scanned = monotonic_now();
  KernelSearchFailure last = search_failure(GuestState::NotLinux, {FaultCode::NotFound, 0}).value();
  for (const Root &root : roots) {
    auto found = KernelSearch(memory, root, help.file).run(KernelSearch::Way::Note);
    if (found) {
      found->seen.find_ns +=
          static_cast<std::uint64_t>(std::chrono::nanoseconds(scanned - started).count());
      return found;
    }
    last = found.error();
  }
  return tl::unexpected(last);
}

} // namespace

Found find_kernel(MemoryReader &memory, std::span<const CpuRegisters> registers,
                  const SearchHelp &help) {
  // With registers there is no scan: what the CPUs run is the truth, and a scan would find the
  // kernel of an earlier boot while the guest is in its firmware.
  return registers.empty() ? find_by_scan(memory, help)
                           : find_by_registers(memory, registers, help);
}

} // namespace outguard::guest
