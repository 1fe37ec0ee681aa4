#include "guest/symbols/kernel_search.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/clock.h"
#include "guest/symbols/btf_type_table.h"
#include "guest/symbols/kallsyms_table.h"
#include "guest/symbols/vmcoreinfo.h"

namespace outguard::guest {
namespace {

constexpr std::size_t kMaxBannerBytes = 512;
constexpr std::string_view kBannerStart = "Linux version ";

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
  if (!banner.starts_with(kBannerStart)) {
    return {};
  }
  banner.remove_prefix(kBannerStart.size());
  return banner.substr(0, banner.find(' '));
}

} // namespace

std::optional<PageTableRoot> root_of(const Vmcoreinfo &claim) {
  const auto table = claim.root();
  if (!table) {
    return std::nullopt;
  }
  const bool five = claim.five_levels.value_or(false);
  return PageTableRoot{*table, five ? PagingLevels::Five : PagingLevels::Four};
}

tl::unexpected<KernelSearchFailure> search_failure(GuestState state, Fault reason,
                                                   std::string what) {
  // Whatever was being tried, memory that is gone is the reason.
  const bool gone = reason.code == FaultCode::SourceGone;
  return tl::unexpected<KernelSearchFailure>(
      {gone ? GuestState::Unreadable : state, reason, gone ? "" : std::move(what), false, {}});
}

tl::expected<Kernel, KernelSearchFailure> KernelSearch::run(Way way) {
  const auto started = monotonic_now();
  auto image = map_kernel_image(space_);
  if (!image) {
    return search_failure(GuestState::Booting, image.error());
  }
  image_ = std::move(*image);
  seen_.find_ns = nanoseconds_since(started);
  const auto symbols_started = monotonic_now();
  if (const auto done = find_symbols(); !done) {
    return tl::unexpected(done.error());
  }
  seen_.symbols_ns = nanoseconds_since(symbols_started);
  if (const auto done = identify(); !done) {
    return tl::unexpected(done.error());
  }
  auto own = own_space();
  if (!own) {
    return tl::unexpected(own.error());
  }
  if (const auto done = check_vmcoreinfo(); !done) {
    return tl::unexpected(done.error());
  }
  if (way == Way::Note && !vouches_for_root()) {
    return search_failure(GuestState::NotLinux, {FaultCode::Malformed, root_.table.raw()},
                          "the kernel does not point at the note that leads to it");
  }
  const auto types_started = monotonic_now();
  if (const auto done = find_types(); !done) {
    return tl::unexpected(done.error());
  }
  seen_.types_ns = nanoseconds_since(types_started);
  seen_.located_by = way == Way::Registers ? "registers" : "ram-scan";
  if (file_ != nullptr) {
    return Kernel{*own, std::move(file_->symbols), std::move(file_->types), std::move(seen_)};
  }
  return Kernel{*own, std::move(kallsyms_), std::move(btf_), std::move(seen_)};
}

Result<GuestVirtual> KernelSearch::symbol(std::string_view name) const {
  const auto found = symbols_->find(name);
  return found ? Result<GuestVirtual>(*found) : fault(FaultCode::NotFound);
}

KernelSearch::Outcome KernelSearch::find_symbols() {
  const auto kallsyms = find_kallsyms();
  if (!kallsyms && kallsyms.error().code == FaultCode::SourceGone) {
    return search_failure(GuestState::Unreadable, kallsyms.error());
  }
  if (file_ != nullptr) {
    return use_file();
  }
  if (!kallsyms) {
    return banner_in_image().empty() ? search_failure(GuestState::NotLinux, kallsyms.error())
                                     : tl::unexpected(want_file("this kernel has no kallsyms"));
  }
  symbols_ = kallsyms_.get();
  if (!symbols_->find("linux_banner")) {
    return tl::unexpected(want_file("this kernel lists no data symbols (no KALLSYMS_ALL)"));
  }
  return {};
}

/// Read-only data first; before the kernel has protected it (late in boot) any run may hold it.
Result<void> KernelSearch::find_kallsyms() {
  Fault last{FaultCode::NotFound, image_.front().start.raw()};
  WalkBudget budget = KallsymsTable::search_budget();
  for (const bool read_only : {true, false}) {
    for (const ImageRun &run : image_) {
      if (run.is_read_only_data() != read_only) {
        continue;
      }
      auto table = copy_run(space_, run).and_then([&](const auto &bytes) {
        return KallsymsTable::find_in(bytes, run.start, image_.front().start, space_, budget);
      });
      if (table) {
        seen_.symbol_count = static_cast<std::uint32_t>((*table)->size());
        seen_.symbols_from = "kallsyms";
        kallsyms_ = std::move(*table);
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

/// The file's addresses are moved to where this kernel runs; then its banner must be found there.
KernelSearch::Outcome KernelSearch::use_file() {
  IsfSymbolTable &symbols = *file_->symbols;
  symbols.relocate(0);
  const auto linked = symbols.find("_text");
  if (!linked) {
    return search_failure(GuestState::Unreadable, {FaultCode::NotFound, 0},
                          "the symbols file lacks _text");
  }
  const auto listed = kallsyms_ ? kallsyms_->find("_text") : std::nullopt;
  const GuestVirtual text = listed.value_or(image_.front().start);
  symbols.relocate(text.raw() - linked->raw());
  symbols_ = &symbols;
  const auto running = symbol("linux_banner").and_then([this](auto at) {
    return read_text(space_, at, kMaxBannerBytes);
  });
  if (!running || running->substr(0, running->find('\n')) != file_->banner) {
    return search_failure(
        GuestState::Unreadable, running ? Fault{FaultCode::Malformed, 0} : running.error(),
        "the symbols file is of another kernel: " + GuestText(file_->banner).printable());
  }
  seen_.symbol_count = static_cast<std::uint32_t>(symbols.size());
  seen_.symbols_from = "isf";
  return check_file_against_kallsyms();
}

/// Functions that every kernel lists, from its first to its last part.
KernelSearch::Outcome KernelSearch::check_file_against_kallsyms() const {
  for (const std::string_view name : {"_stext", "do_exit", "vfs_read", "tcp_sendmsg", "_etext"}) {
    const auto listed = kallsyms_ ? kallsyms_->find(name) : std::nullopt;
    const auto filed = symbols_->find(name);
    if (listed && filed && *listed != *filed) {
      return search_failure(GuestState::Unreadable, {FaultCode::Malformed, filed->raw()},
                            "the symbols file and the kernel's own symbols disagree about " +
                                std::string(name));
    }
  }
  return {};
}

KernelSearchFailure KernelSearch::want_file(std::string what) const {
  KernelSearchFailure failure{
      GuestState::Unreadable, {FaultCode::NotFound, 0}, std::move(what), true, {}};
  const std::string banner = banner_in_image();
  failure.release = GuestText(std::string(release_of(banner)));
  return failure;
}

/// By its text: only to tell whose symbols are wanted.
std::string KernelSearch::banner_in_image() const {
  for (const ImageRun &run : image_) {
    if (run.executable) {
      continue;
    }
    const auto bytes = copy_run(space_, run);
    if (!bytes) {
      continue;
    }
    const std::string_view text(reinterpret_cast<const char *>(bytes->data()), bytes->size());
    const std::size_t start = text.find(kBannerStart);
    if (start != text.npos) {
      const std::string_view banner = text.substr(start, kMaxBannerBytes);
      return std::string(banner.substr(0, banner.find_first_of(std::string_view("\n\0", 2))));
    }
  }
  return {};
}

/// Banner, and where the image lies.
KernelSearch::Outcome KernelSearch::identify() {
  const auto text = symbol("_text");
  const auto physical = text.and_then([this](auto at) { return space_.translate(at); });
  const auto banner = symbol("linux_banner").and_then([this](auto at) {
    return read_text(space_, at, kMaxBannerBytes);
  });
  if (!physical || !banner) {
    return search_failure(GuestState::Unreadable, !physical ? physical.error() : banner.error(),
                          !physical ? "_text is not mapped" : "linux_banner cannot be read");
  }
  seen_.release = GuestText(std::string(release_of(*banner)));
  seen_.banner = GuestText(banner->substr(0, banner->find('\n')));
  seen_.text_base = text->raw();
  seen_.kaslr_offset = text->raw() - kLinkAddress.raw();
  seen_.physical_base = physical->raw() - (text->raw() - kImageWindow.raw());
  text_physical_ = *physical;
  if (seen_.release.empty()) {
    return search_failure(GuestState::Unreadable, {FaultCode::Malformed, 0},
                          "linux_banner names no release");
  }
  return {};
}

/// The kernel's own page tables, which map all of it and outlive every process. While the kernel
/// starts they are still empty.
tl::expected<AddressSpace, KernelSearchFailure> KernelSearch::own_space() {
  auto symbol_address =
      symbol("init_top_pgt"); // what swapper_pg_dir is called on x86-64 since 4.13
  if (!symbol_address) {
    symbol_address = symbol("swapper_pg_dir");
  }
  const auto table = symbol_address.and_then([this](auto at) { return space_.translate(at); });
  if (!table) {
    return search_failure(GuestState::Unreadable, table.error(), "init_top_pgt is not there");
  }
  const GuestVirtual text(seen_.text_base);
  AddressSpace own(space_.memory(), *table, space_.levels());
  const auto physical = own.translate(text);
  if (!physical) {
    return search_failure(GuestState::Booting, physical.error());
  }
  if (*physical != text_physical_) {
    return search_failure(GuestState::Unreadable, {FaultCode::Malformed, text.raw()},
                          "init_top_pgt maps _text elsewhere");
  }
  seen_.paging_levels = static_cast<std::uint8_t>(space_.levels());
  swapper_ = *symbol_address;
  return own;
}

/// What the kernel wrote about itself for crash dumps must agree; a kernel without it is fine.
KernelSearch::Outcome KernelSearch::check_vmcoreinfo() const {
  const auto text = symbol("vmcoreinfo_data")
                        .and_then([this](auto at) { return space_.read_pointer(at); })
                        .and_then([this](auto at) {
                          return at.is_null() ? fault(FaultCode::NotFound)
                                              : read_text(space_, at, kMaxVmcoreinfoBytes);
                        });
  if (!text && text.error().code == FaultCode::SourceGone) {
    return search_failure(GuestState::Unreadable, text.error());
  }
  const auto info = text ? parse_vmcoreinfo(*text) : std::nullopt;
  if (!info) {
    return {};
  }
  const auto disagrees = [&](const char *field) {
    return search_failure(GuestState::Unreadable, {FaultCode::Malformed, swapper_.raw()},
                          std::string("VMCOREINFO disagrees about ") + field);
  };
  if (info->release != seen_.release.raw()) {
    return disagrees("OSRELEASE");
  }
  if (info->swapper_pg_dir.value_or(swapper_.raw()) != swapper_.raw()) {
    return disagrees("swapper_pg_dir");
  }
  if (info->phys_base.value_or(seen_.physical_base) != seen_.physical_base) {
    return disagrees("phys_base");
  }
  if (info->kernel_offset.value_or(seen_.kaslr_offset) != seen_.kaslr_offset) {
    return disagrees("KERNELOFFSET");
  }
  if (info->five_levels.value_or(false) != (space_.levels() == PagingLevels::Five)) {
    return disagrees("pgtable_l5_enabled");
  }
  return {};
}

/// A stale or planted note may lead to a kernel; that one does not point at it. A kernel that does
/// not list the pointer cannot be asked.
bool KernelSearch::vouches_for_root() const {
  const auto pointer = symbols_->find("vmcoreinfo_note");
  if (!pointer) {
    return true;
  }
  std::array<std::uint8_t, kMaxVmcoreinfoBytes> page{};
  const auto read =
      space_.read_pointer(*pointer).and_then([&](auto at) { return space_.read(at, page); });
  const auto text = read ? vmcoreinfo_note(page) : std::nullopt;
  const auto claim = text ? parse_vmcoreinfo(*text) : std::nullopt;
  return claim && root_of(*claim) == root_;
}

KernelSearch::Outcome KernelSearch::find_types() {
  if (file_ == nullptr) {
    auto section = copy_btf(space_, image_, symbols_->find("__start_BTF"));
    if (!section && section.error().code == FaultCode::NotFound) {
      return tl::unexpected(want_file("this kernel has no BTF"));
    }
    auto parsed =
        section.and_then([](auto bytes) { return BtfTypeTable::parse(std::move(bytes)); });
    if (!parsed) {
      return search_failure(GuestState::Unreadable, parsed.error(),
                            "the kernel's BTF is malformed");
    }
    btf_ = std::move(*parsed);
  }
  seen_.types_from = file_ == nullptr ? "btf" : "isf";
  const TypeTable &types = file_ == nullptr ? *btf_ : *file_->types;
  // What every walker stands on; a table without these is not this kernel's.
  for (const std::string_view type : {"task_struct", "sock_common"}) {
    if (const auto size = types.size_of(type); !size) {
      return search_failure(GuestState::Unreadable, size.error(),
                            "the kernel's types lack " + std::string(type));
    }
  }
  return {};
}

} // namespace outguard::guest
