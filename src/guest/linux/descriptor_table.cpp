#include "guest/linux/descriptor_table.h"

#include <algorithm>
#include <span>

namespace outguard::guest {

Result<DescriptorTable> DescriptorTableReader::locate(GuestVirtual files, KernelReader &reader) {
  if (const auto loaded = files_.load(reader, files); !loaded) {
    return tl::unexpected(loaded.error());
  }
  const GuestVirtual table = files_.pointer(layout_.files_table);
  const Member &first = layout_.files_first_table;
  if (table == files.plus_wrapping(first.offset)) { // a small process: already copied
    const auto inside = [&first](Member member) {
      member.offset += first.offset;
      return member;
    };
    return DescriptorTable{files_.pointer(inside(layout_.table_slots)),
                           files_.pointer(inside(layout_.table_open)),
                           files_.number(inside(layout_.table_size))};
  }
  if (const auto loaded = table_.load(reader, table); !loaded) {
    return tl::unexpected(loaded.error());
  }
  return DescriptorTable{table_.pointer(layout_.table_slots), table_.pointer(layout_.table_open),
                         table_.number(layout_.table_size)};
}

std::vector<DescriptorTable::Stretch> DescriptorTable::open_stretches(KernelReader &reader) const {
  constexpr std::size_t kSlotBytes = 8, kBitBytes = kStretchSlots / 8;
  const std::size_t count = (size + kStretchSlots - 1) / kStretchSlots;
  std::vector<std::uint8_t> bits(count * kBitBytes);
  // A small table is one stretch; where the bits cannot be read, all are looked at.
  const bool tells =
      count > 1 && reader.read(open_bits, std::span(bits).first((size + 7) / 8)).has_value();
  std::vector<Stretch> stretches;
  for (std::size_t index = 0; index < count; ++index) {
    const auto part = std::span(bits).subspan(index * kBitBytes, kBitBytes);
    if (!tells || std::ranges::any_of(part, [](std::uint8_t byte) { return byte != 0; })) {
      const std::size_t first = index * kStretchSlots;
      stretches.push_back({slots.plus_wrapping(first * kSlotBytes),
                           std::min<std::size_t>(kStretchSlots, size - first),
                           static_cast<std::int32_t>(first)});
    }
  }
  return stretches;
}

} // namespace outguard::guest
