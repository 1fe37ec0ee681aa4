#include "hypervisor/memory_tree.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "facts/memory_layout.h"

namespace outguard::hypervisor {

namespace {

constexpr std::size_t kMostTextBytes = std::size_t{8} << 20;
/// x86-64 has 52 physical address bits at most.
constexpr std::uint64_t kAddressEnd = 1ULL << 52;

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

/// Cuts `text` before `mark` and drops the mark; the whole text if there is none.
std::string_view take_until(std::string_view &text, std::string_view mark) {
  const auto at = text.find(mark);
  const auto head = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + mark.size());
  return head;
}

/// "  0000000000100000-000000007fffffff (prio 0, ram): pc.ram @0000000000100000 KVM"
/// (softmmu/memory.c, mtree_print_flatview; the offset only when it is not 0, the accelerator's
/// name only when it maps the range). nullopt: not a range of RAM.
std::optional<RamRange> parse_line(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const auto first = parse_hex(take_until(line, "-"));
  const auto last = parse_hex(take_until(line, " (prio "));
  (void)take_until(line, ", ");
  std::string_view kind = take_until(line, "): ");
  if (!first || !last || *last < *first || *last >= kAddressEnd) {
    return std::nullopt;
  }
  if (kind.starts_with("nv-")) {
    kind.remove_prefix(3);
  }
  if (kind != "ram" && kind != "rom" && kind != "romd") {
    return std::nullopt;
  }
  RamRange range{*first, *last - *first + 1, 0, {}, kind == "ram"};
  // A block's name may itself hold " @": the offset is the last one, with 16 digits.
  constexpr std::size_t kDigits = 16;
  const auto at = line.rfind(" @");
  const auto offset = at == std::string_view::npos || line.size() < at + 2 + kDigits
                          ? std::nullopt
                          : parse_hex(line.substr(at + 2, kDigits));
  range.block_offset = offset.value_or(0);
  range.block = line.substr(0, offset ? at : line.size());
  return range;
}

bool continues(const RamRange &one, const RamRange &next) {
  return one.start + one.length == next.start && one.block == next.block &&
         one.block_offset + one.length == next.block_offset && one.writable == next.writable;
}

} // namespace

Result<std::vector<RamRange>> parse_memory_tree(std::string_view text) {
  if (text.size() > kMostTextBytes) {
    return fail(ErrorCode::LimitReached, "QEMU's memory tree is longer than 8 MiB");
  }
  std::vector<RamRange> ranges;
  bool inside = false;
  bool found = false;
  while (!text.empty()) {
    std::string_view line = take_until(text, "\n");
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    if (line.starts_with("FlatView")) {
      inside = false;
    } else if (line.starts_with(" AS \"memory\",") && !found) {
      inside = found = true;
    } else if (auto range = inside ? parse_line(line) : std::nullopt) {
      if (!ranges.empty() && ranges.back().start + ranges.back().length > range->start) {
        return fail(ErrorCode::InvalidInput, "QEMU's memory tree has ranges that overlap");
      }
      if (!ranges.empty() && continues(ranges.back(), *range)) {
        ranges.back().length += range->length;
      } else if (ranges.size() == kMaxMemoryRegions) {
        return fail(ErrorCode::LimitReached, "QEMU's memory tree has too many ranges");
      } else {
        ranges.push_back(std::move(*range));
      }
    }
  }
  if (ranges.empty()) {
    return fail(ErrorCode::InvalidInput, "QEMU's memory tree shows no RAM");
  }
  return ranges;
}

Result<std::uint64_t> parse_host_address(std::string_view text) {
  const auto end = text.find_last_not_of(" \r\n");
  text = text.substr(0, end == std::string_view::npos ? 0 : end + 1);
  constexpr std::string_view kMark = ") is 0x";
  const auto at = text.rfind(kMark);
  const auto address =
      at == std::string_view::npos ? std::nullopt : parse_hex(text.substr(at + kMark.size()));
  if (!text.starts_with("Host virtual address for ") || !address) {
    return fail(ErrorCode::InvalidInput, "QEMU does not tell where guest memory is");
  }
  return *address;
}

} // namespace outguard::hypervisor
