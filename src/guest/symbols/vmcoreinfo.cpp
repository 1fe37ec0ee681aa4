#include "guest/symbols/vmcoreinfo.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "guest/bytes/byte_cursor.h"
#include "guest/symbols/kernel_image.h"

namespace outguard::guest {
namespace {

constexpr std::string_view kNoteName = "VMCOREINFO"; ///< and a NUL
constexpr std::size_t kMaxReleaseBytes = 64;         ///< __NEW_UTS_LEN
constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kScanBytes = std::size_t{1} << 20;

template <class T> std::optional<T> number(std::string_view text, int base) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

} // namespace

std::optional<GuestPhysical> Vmcoreinfo::root() const {
  if (!swapper_pg_dir || !phys_base) {
    return std::nullopt;
  }
  return GuestPhysical(*swapper_pg_dir - kImageWindow.raw() + *phys_base);
}

std::optional<Vmcoreinfo> parse_vmcoreinfo(std::string_view text) {
  Vmcoreinfo info;
  text = text.substr(0, kMaxVmcoreinfoBytes);
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t equals = line.find('=');
    if (equals == line.npos) {
      continue;
    }
    const std::string_view key = line.substr(0, equals);
    const std::string_view value = line.substr(equals + 1);
    if (key == "OSRELEASE" && value.size() <= kMaxReleaseBytes) {
      info.release = value;
    } else if (key == "SYMBOL(swapper_pg_dir)") {
      info.swapper_pg_dir = number<std::uint64_t>(value, 16);
    } else if (key == "NUMBER(phys_base)") { // signed decimal
      if (const auto base = number<std::int64_t>(value, 10)) {
        info.phys_base = static_cast<std::uint64_t>(*base);
      }
    } else if (key == "KERNELOFFSET") {
      info.kernel_offset = number<std::uint64_t>(value, 16);
    } else if (key == "NUMBER(pgtable_l5_enabled)") {
      info.five_levels = value == "1";
    }
  }
  return info.release.empty() ? std::nullopt : std::optional(info);
}

std::optional<std::string_view> vmcoreinfo_note(std::span<const std::uint8_t> page) {
  ByteCursor cursor(page);
  const auto name_size = cursor.le32();
  const auto text_size = cursor.le32();
  if (!name_size || !text_size || *name_size != kNoteName.size() + 1 || !cursor.skip(4)) {
    return std::nullopt;
  }
  const auto name = cursor.take((kNoteName.size() + 1 + 3) & ~std::size_t{3});
  if (!name || std::memcmp(name->data(), kNoteName.data(), kNoteName.size()) != 0) {
    return std::nullopt;
  }
  const auto text = cursor.take(*text_size);
  if (!text) {
    return std::nullopt;
  }
  return std::string_view(reinterpret_cast<const char *>(text->data()), text->size());
}

Result<std::vector<VmcoreinfoCandidate>>
scan_for_vmcoreinfo(MemoryReader &memory, std::size_t most,
                    const std::function<bool(const Vmcoreinfo &)> &wanted,
                    const ScanProgress &progress) {
  std::vector<VmcoreinfoCandidate> candidates;
  std::uint64_t scanned = 0, total = 0;
  for (const PhysicalRange &range : memory.ranges()) {
    total += range.length;
  }
  std::vector<std::uint8_t> chunk(kScanBytes);
  const auto look_at = [&](GuestPhysical start, std::span<const std::uint8_t> bytes) {
    for (std::size_t at = 0; at + kPageBytes <= bytes.size() && candidates.size() < most;
         at += kPageBytes) {
      const auto text = vmcoreinfo_note(bytes.subspan(at, kPageBytes));
      auto claim = text ? parse_vmcoreinfo(*text) : std::nullopt;
      if (claim && wanted(*claim)) {
        candidates.push_back({start.plus_wrapping(at), std::move(*claim)});
      }
    }
  };
  for (const PhysicalRange &range : memory.ranges()) {
    for (std::uint64_t done = 0; done < range.length && candidates.size() < most;) {
      const GuestPhysical at = range.start.plus_wrapping(done);
      const auto bytes =
          std::span(chunk).first(std::min<std::uint64_t>(kScanBytes, range.length - done));
      if (const auto read = memory.read(at, bytes)) {
        look_at(at, bytes);
      } else if (read.error().code == FaultCode::SourceGone) {
        return tl::unexpected(read.error());
      }
      done += bytes.size();
      scanned += bytes.size();
      if (progress) {
        progress(scanned, total);
      }
    }
  }
  return candidates;
}

} // namespace outguard::guest
