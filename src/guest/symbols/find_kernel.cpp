#include <algorithm>
#include <array>
#include <utility>

#include "base/clock.h"
#include "guest/symbols/btf_type_table.h"
#include "guest/symbols/kallsyms_table.h"
#include "guest/symbols/kernel.h"
#include "guest/symbols/kernel_image.h"
#include "guest/symbols/page_table_roots.h"
#include "guest/symbols/vmcoreinfo.h"

namespace outguard::guest {
namespace {

using Found = tl::expected<Kernel, KernelSearchFailure>;

constexpr std::size_t kMaxNotes = 64; ///< of different roots that map themselves
constexpr std::size_t kMaxBannerBytes = 512;

using Root = PageTableRoot;

tl::unexpected<KernelSearchFailure> failure(GuestState state, Fault reason) {
  // Whatever was being tried, memory that is gone is the reason.
  const bool gone = reason.code == FaultCode::SourceGone;
  return tl::unexpected<KernelSearchFailure>({gone ? GuestState::Unreadable : state, reason});
}

std::uint64_t nanoseconds_since(MonotonicTime start) {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(monotonic_now() - start).count());
}

Result<std::string> read_text(const AddressSpace &space, GuestVirtual address, std::size_t most) {
  std::string text;
  std::array<char, 64> part{};
  while (text.size() < most) {
    // Aligned parts: never past the page that the end lies in.
    const auto at = address.plus_wrapping(text.size());
    const auto want = part.size() - at.raw() % part.size();
    const auto read = space.read(at, {reinterpret_cast<std::uint8_t *>(part.data()), want});
    if (!read) {
      return tl::unexpected(read.error());
    }
    const std::string_view bytes(part.data(), want);
    text += bytes.substr(0, bytes.find('\0'));
    if (bytes.find('\0') != bytes.npos) {
      return text;
    }
  }
  return fault(FaultCode::LimitReached, address.raw());
}

/// "Linux version 6.1.0-35-amd64 (debian-kernel@..." -> "6.1.0-35-amd64"
std::string_view release_of(std::string_view banner) {
  constexpr std::string_view kStart = "Linux version ";
  if (!banner.starts_with(kStart)) {
    return {};
  }
  banner.remove_prefix(kStart.size());
  return banner.substr(0, banner.find(' '));
}

/// One attempt: everything that hangs on one page-table root.
class KernelSearch {
public:
  KernelSearch(MemoryReader &memory, Root root) : space_(memory, root.table, root.levels) {}

  Found run() {
    const auto started = monotonic_now();
    const auto runs = map_kernel_image(space_);
    if (!runs) {
      return failure(GuestState::Booting, runs.error());
    }
    seen_.find_ns = nanoseconds_since(started);
    const auto symbols_started = monotonic_now();
    if (const auto done = find_symbols(*runs); !done) {
      return failure(GuestState::NotLinux, done.error());
    }
    seen_.symbols_ns = nanoseconds_since(symbols_started);
    if (const auto done = identify(); !done) {
      return failure(GuestState::Unreadable, done.error());
    }
    auto own = own_space();
    if (!own) {
      return tl::unexpected(own.error());
    }
    if (const auto done = check_vmcoreinfo(); !done) {
      return failure(GuestState::Unreadable, done.error());
    }
    const auto types_started = monotonic_now();
    auto types = find_types(*runs);
    if (!types) {
      return failure(GuestState::Unreadable, types.error());
    }
    seen_.types_ns = nanoseconds_since(types_started);
    return Kernel{*own, std::move(symbols_), std::move(*types), std::move(seen_)};
  }

private:
  [[nodiscard]] Result<GuestVirtual> symbol(std::string_view name) const {
    const auto found = symbols_->find(name);
    return found ? Result<GuestVirtual>(*found) : fault(FaultCode::NotFound);
  }

  /// Read-only data first; before the kernel has protected it (late in boot) any run may hold it.
  Result<void> find_symbols(std::span<const ImageRun> runs) {
    Fault last{FaultCode::NotFound, runs.front().start.raw()};
    WalkBudget budget = KallsymsTable::search_budget();
    for (const bool read_only : {true, false}) {
      for (const ImageRun &run : runs) {
        if (run.is_read_only_data() != read_only) {
          continue;
        }
        auto table = copy_run(space_, run).and_then([&](const auto &bytes) {
          return KallsymsTable::find_in(bytes, run.start, runs.front().start, space_, budget);
        });
        if (table) {
          seen_.symbol_count = static_cast<std::uint32_t>((*table)->size());
          seen_.symbols_from = "kallsyms";
          symbols_ = std::move(*table);
          return {};
        }
        if (table.error().code == FaultCode::SourceGone) {
          return tl::unexpected(table.error());
        }
        last = table.error();
      }
    }
    return tl::unexpected(last);
  }

  /// Banner, and where the image lies.
  Result<void> identify() {
    const auto text = symbol("_text");
    const auto physical = text.and_then([this](auto at) { return space_.translate(at); });
    const auto banner = symbol("linux_banner").and_then([this](auto at) {
      return read_text(space_, at, kMaxBannerBytes);
    });
    if (!physical || !banner) {
      return tl::unexpected(!physical ? physical.error() : banner.error());
    }
    seen_.release = GuestText(std::string(release_of(*banner)));
    seen_.banner = GuestText(banner->substr(0, banner->find('\n')));
    seen_.text_base = text->raw();
    seen_.kaslr_offset = text->raw() - kLinkAddress.raw();
    seen_.physical_base = physical->raw() - (text->raw() - kImageWindow.raw());
    text_physical_ = *physical;
    return seen_.release.empty() ? fault(FaultCode::Malformed) : Result<void>{};
  }

  /// The kernel's own page tables, which map all of it and outlive every process. While the kernel
  /// starts they are still empty.
  tl::expected<AddressSpace, KernelSearchFailure> own_space() {
    auto symbol_address =
        symbol("init_top_pgt"); // what swapper_pg_dir is called on x86-64 since 4.13
    if (!symbol_address) {
      symbol_address = symbol("swapper_pg_dir");
    }
    const auto table = symbol_address.and_then([this](auto at) { return space_.translate(at); });
    if (!table) {
      return failure(GuestState::Unreadable, table.error());
    }
    const GuestVirtual text(seen_.text_base);
    AddressSpace own(space_.memory(), *table, space_.levels());
    const auto physical = own.translate(text);
    if (!physical) {
      return failure(GuestState::Booting, physical.error());
    }
    if (*physical != text_physical_) {
      return failure(GuestState::Unreadable, {FaultCode::Malformed, text.raw()});
    }
    seen_.paging_levels = static_cast<std::uint8_t>(space_.levels());
    swapper_ = *symbol_address;
    return own;
  }

  /// What the kernel wrote about itself for crash dumps must agree; a kernel without it is fine.
  Result<void> check_vmcoreinfo() {
    const auto text = symbol("vmcoreinfo_data")
                          .and_then([this](auto at) { return space_.read_pointer(at); })
                          .and_then([this](auto at) {
                            return at.is_null() ? fault(FaultCode::NotFound)
                                                : read_text(space_, at, kMaxVmcoreinfoBytes);
                          });
    if (!text && text.error().code == FaultCode::SourceGone) {
      return tl::unexpected(text.error());
    }
    const auto info = text ? parse_vmcoreinfo(*text) : std::nullopt;
    if (!info) {
      return {};
    }
    const bool agrees =
        info->release == seen_.release.raw() &&
        info->swapper_pg_dir.value_or(swapper_.raw()) == swapper_.raw() &&
        info->phys_base.value_or(seen_.physical_base) == seen_.physical_base &&
        info->kernel_offset.value_or(seen_.kaslr_offset) == seen_.kaslr_offset &&
        info->five_levels.value_or(false) == (space_.levels() == PagingLevels::Five);
    return agrees ? Result<void>{} : fault(FaultCode::Malformed, swapper_.raw());
  }

  Result<std::unique_ptr<TypeTable>> find_types(std::span<const ImageRun> runs) {
    auto section = find_btf(runs);
    if (!section) {
      return tl::unexpected(section.error());
    }
    auto types = BtfTypeTable::parse(std::move(*section));
    if (!types) {
      return tl::unexpected(types.error());
    }
    // What every walker stands on; a table without these is not this kernel's.
    for (const std::string_view type : {"task_struct", "sock_common"}) {
      if (const auto size = (*types)->size_of(type); !size) {
        return tl::unexpected(size.error());
      }
    }
    seen_.types_from = "btf";
    return std::move(*types);
  }

  /// By its symbols, or, where the kernel lists no data symbols, by its magic inside the image.
  [[nodiscard]] Result<std::vector<std::uint8_t>> find_btf(std::span<const ImageRun> runs) const {
    if (const auto start = symbol("__start_BTF")) {
      return copy_btf(*start);
    }
    constexpr std::array<std::uint8_t, 4> kStart{0x9f, 0xeb, 1, 0};
    int tries = 16; // the four bytes may stand elsewhere by chance; a guest may plant many
    for (const ImageRun &run : runs) {
      const auto bytes = copy_run(space_, run);
      if (!bytes && bytes.error().code == FaultCode::SourceGone) {
        return tl::unexpected(bytes.error());
      }
      if (!bytes) {
        continue;
      }
      for (auto at = bytes->begin(); tries > 0; ++at, --tries) {
        at = std::search(at, bytes->end(), kStart.begin(), kStart.end());
        if (at == bytes->end()) {
          break;
        }
        const auto position = static_cast<std::uint64_t>(at - bytes->begin());
        if (auto section = copy_btf(run.start.plus_wrapping(position))) {
          return section;
        }
      }
    }
    return fault(FaultCode::NotFound);
  }

  [[nodiscard]] Result<std::vector<std::uint8_t>> copy_btf(GuestVirtual start) const {
    std::array<std::uint8_t, kBtfHeaderBytes> header{};
    if (const auto done = space_.read(start, header); !done) {
      return tl::unexpected(done.error());
    }
    const auto length = btf_length(header);
    if (!length) {
      return tl::unexpected(length.error());
    }
    std::vector<std::uint8_t> section(*length);
    if (const auto done = space_.read(start, section); !done) {
      return tl::unexpected(done.error());
    }
    return section;
  }

  AddressSpace space_; ///< of the root given: some process's, or the kernel's own
  std::unique_ptr<SymbolTable> symbols_;
  GuestPhysical text_physical_;
  GuestVirtual swapper_;
  KernelSeen seen_;
};

/// What runs there when no CPU leads to a Linux image: an operating system has its interrupt table
/// in the upper half; firmware, boot loaders and the kernel's own decompressor have it in the
/// lower.
GuestState state_without_image(std::span<const CpuRegisters> registers) {
  const bool upper = std::any_of(registers.begin(), registers.end(), [](const CpuRegisters &cpu) {
    return cpu.long_mode && (cpu.idt_base >> 63) != 0;
  });
  return upper ? GuestState::NotLinux : GuestState::Booting;
}

Found find_by_registers(MemoryReader &memory, std::span<const CpuRegisters> registers) {
  KernelSearchFailure worst{state_without_image(registers), {FaultCode::NotFound, 0}};
  bool had_image = false;
  for (const Root &root : page_table_roots(registers)) {
    auto found = KernelSearch(memory, root).run();
    if (found) {
      found->seen.located_by = "registers";
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

Root root_of(const Vmcoreinfo &claim, GuestPhysical table) {
  return {table, claim.five_levels.value_or(false) ? PagingLevels::Five : PagingLevels::Four};
}

/// The cheap check: the claimed tables map themselves where the claim says. `seen`: those that do.
bool is_new_root(MemoryReader &memory, const Vmcoreinfo &claim, std::vector<Root> &seen) {
  const auto table = claim.root();
  if (!table) {
    return false;
  }
  const Root root = root_of(claim, *table);
  const AddressSpace space(memory, root.table, root.levels);
  if (space.translate(GuestVirtual(*claim.swapper_pg_dir)) != root.table ||
      std::find(seen.begin(), seen.end(), root) != seen.end()) {
    return false;
  }
  seen.push_back(root);
  return true;
}

/// Does the note that the kernel itself points at claim this root? A kernel that does not list the
/// pointer cannot be asked.
bool vouches_for(const Kernel &kernel, const Root &root) {
  const auto pointer = kernel.symbols->find("vmcoreinfo_note");
  if (!pointer) {
    return true;
  }
  std::array<std::uint8_t, kMaxVmcoreinfoBytes> page{};
  const auto read = kernel.space.read_pointer(*pointer).and_then(
      [&](auto at) { return kernel.space.read(at, page); });
  const auto text = read ? vmcoreinfo_note(page) : std::nullopt;
  const auto claim = text ? parse_vmcoreinfo(*text) : std::nullopt;
  const auto table = claim ? claim->root() : std::nullopt;
  return table && root_of(*claim, *table) == root;
}

/// Without registers (a plain memory file). Every note is only a claim: its root must lead to a
/// whole kernel, and that kernel must itself point at a note of this root, which one that a stale
/// or planted note leads to does not.
Found find_by_scan(MemoryReader &memory) {
  const auto started = monotonic_now();
  std::vector<Root> roots;
  const auto candidates = scan_for_vmcoreinfo(
      memory, kMaxNotes, [&](const auto &claim) { return is_new_root(memory, claim, roots); });
  if (!candidates) {
    return failure(GuestState::Unreadable, candidates.error());
  }
  const auto scan_ns = nanoseconds_since(started);
  KernelSearchFailure last{GuestState::NotLinux, {FaultCode::NotFound, 0}};
  for (const Root &root : roots) {
    auto found = KernelSearch(memory, root).run();
    if (!found) {
      last = found.error();
      continue;
    }
    if (!vouches_for(*found, root)) {
      last = {GuestState::NotLinux, {FaultCode::Malformed, root.table.raw()}};
      continue;
    }
    found->seen.located_by = "ram-scan";
    found->seen.find_ns += scan_ns;
    return found;
  }
  return tl::unexpected(last);
}

} // namespace

Found find_kernel(MemoryReader &memory, std::span<const CpuRegisters> registers) {
  // With registers there is no scan: what the CPUs run is the truth, and a scan would find the
  // kernel of an earlier boot while the guest is in its firmware.
  return registers.empty() ? find_by_scan(memory) : find_by_registers(memory, registers);
}

} // namespace outguard::guest
