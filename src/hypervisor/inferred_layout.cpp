#include "hypervisor/inferred_layout.h"

#include <algorithm>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "facts/guest_text.h"

namespace outguard::hypervisor {

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
constexpr std::uint64_t kDefaultRam = 128 * kMiB; // hw/core/machine.c
/// Display memory and device ROMs hide this part of RAM.
constexpr std::uint64_t kHoleStart = 0xa'0000;
constexpr std::uint64_t kHoleEnd = 0xc'0000;

enum class Chipset { I440fx, Q35 };

std::optional<Chipset> chipset_of(const std::string &machine) {
  if (machine.empty() || machine == "pc" || machine.starts_with("pc-i440fx-")) {
    return Chipset::I440fx;
  }
  if (machine == "q35" || machine.starts_with("pc-q35-")) {
    return Chipset::Q35;
  }
  return std::nullopt;
}

/// RAM below 4 GiB; the rest follows at 4 GiB. hw/i386/pc_piix.c pc_init1() and pc_q35.c
/// pc_q35_init() of QEMU 7.2, as since 2.0: beyond the limit the split is at a whole GiB.
std::uint64_t low_memory(Chipset chipset, std::uint64_t ram, std::uint64_t most_below_4g) {
  std::uint64_t low = 0;
  if (chipset == Chipset::I440fx) {
    low = most_below_4g != 0 ? most_below_4g : 0xe000'0000;
    low = ram >= low ? std::min(low, 3 * kGiB) : low;
  } else {
    low = ram >= 0xb000'0000 ? 2 * kGiB : 0xb000'0000;
    low = most_below_4g != 0 ? std::min(low, most_below_4g) : low;
  }
  return std::min(low, ram);
}

bool continues(const HostMapping &last, const HostMapping &next) {
  return next.plain_data && last.end == next.start && last.inode == next.inode &&
         last.device == next.device && last.shared == next.shared &&
         (next.inode == 0 || last.file_offset + (last.end - last.start) == next.file_offset);
}

/// Where plain data of this size begins: single mappings, or, where there is none, neighbours that
/// continue each other (QEMU gave the kernel advice for a part). Other data may lie beside it.
std::vector<std::uint64_t> find_data(std::span<const HostMapping> mappings, std::uint64_t size) {
  std::vector<std::uint64_t> single;
  std::vector<std::uint64_t> joined;
  for (std::size_t first = 0; first < mappings.size(); ++first) {
    const std::uint64_t start = mappings[first].start;
    std::size_t last = first;
    while (mappings[last].end - start < size && last + 1 < mappings.size() &&
           continues(mappings[last], mappings[last + 1])) {
      ++last;
    }
    if (mappings[first].plain_data && mappings[last].end - start == size) {
      (first == last ? single : joined).push_back(start);
    }
  }
  return single.empty() ? joined : single;
}

} // namespace

Result<void> can_infer_layout(const QemuCommandLine &line) {
  if (!chipset_of(line.machine)) {
    return fail(ErrorCode::Unsupported, "the memory layout of machine type " +
                                            GuestText(line.machine).printable() + " is not known");
  }
  if (line.numa_backends > 1) {
    return fail(ErrorCode::Unsupported,
                "its RAM is in several memory back ends, whose order is not known");
  }
  return {};
}

Result<MemoryLayout> infer_layout(const QemuCommandLine &line,
                                  std::span<const HostMapping> mappings) {
  if (auto can = can_infer_layout(line); !can) {
    return tl::unexpected(can.error());
  }
  const std::uint64_t ram = line.memory_bytes.value_or(kDefaultRam);
  const auto starts = find_data(mappings, ram);
  if (ram < kMiB || starts.size() != 1) {
    return fail(ErrorCode::InvalidInput,
                fmt::format("{} mappings of QEMU have the size of its RAM ({} MiB), not one",
                            starts.size(), ram / kMiB));
  }
  const std::uint64_t low =
      low_memory(*chipset_of(line.machine), ram, line.most_ram_below_4g.value_or(0));
  MemoryLayout layout;
  const auto add = [&](std::uint64_t guest, std::uint64_t in_ram, std::uint64_t length) {
    if (length > 0) {
      layout.regions.push_back({guest, length, starts.front() + in_ram, 0, -1});
    }
  };
  add(0, 0, std::min(low, kHoleStart));
  add(kHoleEnd, kHoleEnd, low - std::min(low, kHoleEnd));
  add(4 * kGiB, low, ram - low);
  return layout;
}

} // namespace outguard::hypervisor
