#include <algorithm>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "guest/symbols/kernel.h"
#include "guest/symbols/kernel_search.h"
#include "guest/symbols/page_table_roots.h"
#include "guest/symbols/vmcoreinfo.h"

namespace outguard::guest {
namespace {

using Found = tl::expected<Kernel, KernelSearchFailure>;
using Root = PageTableRoot;

constexpr std::size_t kMaxNotes = 64;   ///< of different roots that map themselves
constexpr std::size_t kMostKernels = 8; ///< whole ones, some MiB of tables each
/// An idle kernel may not tick for a while.
constexpr std::chrono::milliseconds kBetweenBeats{50};
constexpr int kMostBeats = 40;
constexpr std::uint64_t kMostTicks = 10'000; ///< in all that time; CONFIG_HZ is 1000 at most

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

std::optional<std::uint64_t> beat_of(const Kernel &kernel) {
  const auto jiffies = jiffies_of(*kernel.symbols);
  const auto value = jiffies ? kernel.space.read_pointer(*jiffies) : fault(FaultCode::NotFound);
  return value ? std::optional(value->raw()) : std::nullopt;
}

/// The first whose clock ticks, else the first of all.
Kernel take_running(std::vector<Kernel> kernels, MemoryReader &memory, const SearchHelp &help) {
  if (kernels.size() == 1 || !help.wait) {
    return std::move(kernels.front());
  }
  memory.renew();
  std::vector<std::optional<std::uint64_t>> before;
  before.reserve(kernels.size());
  for (const Kernel &kernel : kernels) {
    before.push_back(beat_of(kernel));
  }
  for (int beats = 0; beats < kMostBeats; ++beats) {
    help.wait(kBetweenBeats);
    memory.renew();
    for (std::size_t index = 0; index < kernels.size(); ++index) {
      const auto now = beat_of(kernels[index]);
      if (now && before[index] && *now > *before[index] && *now - *before[index] <= kMostTicks) {
        return std::move(kernels[index]);
      }
    }
  }
  return std::move(kernels.front());
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
  std::vector<Kernel> kernels;
  const bool one_is_enough = !help.wait || help.file != nullptr;
  for (const Root &root : roots) {
    auto found = KernelSearch(memory, root, help.file).run(KernelSearch::Way::Note);
    if (!found) {
      last = found.error();
      continue;
    }
    found->seen.find_ns +=
        static_cast<std::uint64_t>(std::chrono::nanoseconds(scanned - started).count());
    kernels.push_back(std::move(*found));
    if (one_is_enough || kernels.size() == kMostKernels) {
      break;
    }
  }
  if (kernels.empty()) {
    return tl::unexpected(last);
  }
  return take_running(std::move(kernels), memory, help);
}

} // namespace

/// One word under two names.
std::optional<GuestVirtual> jiffies_of(const SymbolTable &symbols) {
  const auto found = symbols.find("jiffies_64");
  return found ? found : symbols.find("jiffies");
}

Found find_kernel(MemoryReader &memory, std::span<const CpuRegisters> registers,
                  const SearchHelp &help) {
  // With registers there is no scan: what the CPUs run is the truth, and a scan would find the
  // kernel of an earlier boot while the guest is in its firmware.
  return registers.empty() ? find_by_scan(memory, help)
                           : find_by_registers(memory, registers, help);
}

} // namespace outguard::guest
