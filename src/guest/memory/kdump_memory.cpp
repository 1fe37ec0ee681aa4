#include "guest/memory/kdump_memory.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "guest/memory/dump_notes.h"

namespace outguard::guest {
namespace {

/// struct disk_dump_header of makedumpfile 1.7.2 (diskdump_mod.h) on x86-64: the first block.
struct Header {
  std::array<char, 8> signature;
  std::uint32_t version;
  std::array<char, 260>
      system; ///< struct new_utsname: four texts of 65: sysname, nodename, release, version
  std::array<char, 65> machine;
  std::array<char, 65> domain;
  std::array<std::uint8_t, 22> time;
  std::uint32_t status;
  std::uint32_t block_size;
  std::uint32_t sub_header_blocks;
  std::uint32_t bitmap_blocks;
  std::uint32_t pages; ///< max_mapnr, cut to 32 bits
};
static_assert(offsetof(Header, status) == 424 && sizeof(Header) == 444);

/// struct kdump_sub_header: the second block. `since` is the header's version.
struct SubHeader {
  std::uint64_t physical_base;
  std::uint32_t dump_level; ///< since 1
  std::uint32_t split;      ///< since 2
  std::array<std::uint64_t, 2> split_pages;
  std::array<std::uint64_t, 2> vmcoreinfo; ///< since 3: offset, size
  std::array<std::uint64_t, 2> notes;      ///< since 4: offset, size
  std::array<std::uint64_t, 2> erased;     ///< since 5
  std::array<std::uint64_t, 2> split_pages_64;
  std::uint64_t pages_64; ///< since 6
};
static_assert(sizeof(SubHeader) == 104);

/// struct page_desc
struct Descriptor {
  std::uint64_t offset;
  std::uint32_t size;
  std::uint32_t flags;
  std::uint64_t page_flags;
};
static_assert(sizeof(Descriptor) == 24);

constexpr std::uint32_t kIncomplete = 8;       ///< of Header::status: no space was left
constexpr std::uint32_t kZeroPagesLeftOut = 1; ///< of SubHeader::dump_level
/// 4 TiB of guest-physical addresses; the sensor may use 1 GiB.
constexpr std::uint64_t kMaxPages = std::uint64_t{1} << 30;
constexpr std::size_t kMaxRanges = std::size_t{4} << 20;
constexpr std::size_t kWordsPerSum = 8;

Opened<void> check(const Header &header, const SubHeader &sub) {
  if (header.version < 1 || header.version > 6) {
    return problem("a kdump of another version than 1 to 6", offsetof(Header, version));
  }
  if (header.block_size != KdumpMemory::kPageBytes) {
    return problem("a kdump of another page size than 4096", offsetof(Header, block_size));
  }
  const std::string_view machine(header.machine.data(),
                                 strnlen(header.machine.data(), header.machine.size()));
  if (machine != "x86_64" && !machine.empty()) {
    return problem("a kdump of another machine than x86-64", offsetof(Header, machine));
  }
  if ((header.status & kIncomplete) != 0) {
    return problem("an incomplete kdump: its disk was full", offsetof(Header, status));
  }
  if (header.version >= 2 && sub.split != 0) {
    return problem("a part of a split kdump: join the parts with makedumpfile --reassemble");
  }
  return {};
}

} // namespace

Opened<KdumpMemory::Bitmap> KdumpMemory::Bitmap::read(const FileBytes &file, std::uint64_t offset,
                                                      std::uint64_t pages) {
  Bitmap bitmap;
  bitmap.words_.resize((pages + 63) / 64);
  const std::uint64_t bytes = (pages + 7) / 8;
  auto done = file.read(offset, {reinterpret_cast<std::uint8_t *>(bitmap.words_.data()), bytes});
  if (!done) {
    return tl::unexpected(done.error());
  }
  if (pages % 8 != 0) { // bits beyond the last page mean nothing
    bitmap.words_.back() &= (std::uint64_t{1} << (pages % 64)) - 1;
  }
  bitmap.sums_.reserve(bitmap.words_.size() / kWordsPerSum + 1);
  for (std::size_t i = 0; i < bitmap.words_.size(); ++i) {
    if (i % kWordsPerSum == 0) {
      bitmap.sums_.push_back(bitmap.count_);
    }
    bitmap.count_ += static_cast<std::uint64_t>(std::popcount(bitmap.words_[i]));
  }
  return bitmap;
}

std::uint64_t KdumpMemory::Bitmap::rank(std::uint64_t page) const {
  const std::size_t word = page / 64;
  std::uint64_t below = sums_[word / kWordsPerSum];
  for (std::size_t i = word - word % kWordsPerSum; i < word; ++i) {
    below += static_cast<std::uint64_t>(std::popcount(words_[i]));
  }
  const std::uint64_t lower_bits = (std::uint64_t{1} << (page % 64)) - 1;
  return below + static_cast<std::uint64_t>(std::popcount(words_[word] & lower_bits));
}

Opened<KdumpMemory::Contents> KdumpMemory::parse(const FileBytes &file) {
  const auto header = file.read_as<Header>(0);
  const auto sub = file.read_as<SubHeader>(kPageBytes);
  if (!header || !sub) {
    return problem("truncated: a kdump without its headers");
  }
  if (auto done = check(*header, *sub); !done) {
    return tl::unexpected(done.error());
  }
  const std::uint64_t pages = header->version >= 6 ? sub->pages_64 : header->pages;
  // Two bitmaps of the same size: of all RAM, and of the pages that are in the file.
  const std::uint64_t bitmaps = (1 + std::uint64_t{header->sub_header_blocks}) * kPageBytes;
  const std::uint64_t bitmap_bytes = std::uint64_t{header->bitmap_blocks} * kPageBytes / 2;
  if (pages > kMaxPages) {
    return problem("a kdump of more than 4 TiB", offsetof(Header, pages));
  }
  if ((pages + 7) / 8 > bitmap_bytes) {
    return problem("a kdump whose bitmap is too short", offsetof(Header, bitmap_blocks));
  }
  Contents contents;
  auto stored = Bitmap::read(file, bitmaps + bitmap_bytes, pages);
  if (!stored) {
    return tl::unexpected(stored.error());
  }
  contents.stored = std::move(*stored);
  // Only this level alone says what is in the pages that were left out.
  if (header->version >= 1 && sub->dump_level == kZeroPagesLeftOut) {
    auto all = Bitmap::read(file, bitmaps, pages);
    if (!all) {
      return tl::unexpected(all.error());
    }
    contents.zero = std::move(*all);
  }
  contents.descriptors = bitmaps + 2 * bitmap_bytes;
  if (!file.holds(contents.descriptors, contents.stored.count() * sizeof(Descriptor))) {
    return problem("truncated: the file ends before the kdump's pages", contents.descriptors);
  }
  if (header->version >= 4 && sub->notes[1] != 0) {
    if (sub->notes[1] > kMaxNoteBytes) {
      return problem("notes too long", sub->notes[0]);
    }
    std::vector<std::uint8_t> notes(sub->notes[1]);
    auto done = file.read(sub->notes[0], notes).and_then([&] {
      return parse_dump_notes(notes, sub->notes[0], contents.registers);
    });
    if (!done) {
      return tl::unexpected(done.error());
    }
  }
  return contents;
}

Opened<std::unique_ptr<DumpFileMemory>> KdumpMemory::open(std::unique_ptr<FileBytes> file) {
  auto contents = parse(*file);
  if (!contents) {
    return tl::unexpected(contents.error());
  }
  std::unique_ptr<KdumpMemory> memory(new KdumpMemory(std::move(file), std::move(*contents)));
  if (auto done = memory->find_ranges(); !done) {
    return tl::unexpected(done.error());
  }
  return memory;
}

KdumpMemory::KdumpMemory(std::unique_ptr<FileBytes> file, Contents contents)
    : DumpFileMemory(std::move(file), std::move(contents.registers)),
      stored_(std::move(contents.stored)), zero_(std::move(contents.zero)),
      descriptors_(contents.descriptors), slots_(kSets * kWays) {}

Opened<void> KdumpMemory::find_ranges() {
  for (std::uint64_t page = 0; page < stored_.pages(); ++page) {
    if (stored_.has(page) || zero_.has(page)) {
      add_range(page * kPageBytes, kPageBytes);
    }
    if (range_count() > kMaxRanges) {
      return problem("a kdump in too many pieces; write it with a lower dump level (-d)");
    }
  }
  if (range_count() == 0) {
    return problem("a kdump without memory");
  }
  return {};
}

Result<std::size_t> KdumpMemory::read_some(GuestPhysical address, std::span<std::uint8_t> out) {
  const std::size_t inside = address.raw() % kPageBytes;
  const auto content = page(address.raw() / kPageBytes);
  if (!content) {
    return tl::unexpected(content.error());
  }
  const std::size_t count = std::min(out.size(), kPageBytes - inside);
  std::memcpy(out.data(), content->data() + inside, count);
  return count;
}

Result<KdumpMemory::Page> KdumpMemory::page(std::uint64_t number) {
  const auto ways = std::span(slots_).subspan(number % kSets * kWays, kWays);
  const auto known =
      std::ranges::find_if(ways, [&](const Slot &slot) { return slot.page == number; });
  if (known != ways.end()) {
    known->used = ++clock_;
    return Page(*known->bytes);
  }
  Slot &slot =
      *std::ranges::min_element(ways, [](const Slot &a, const Slot &b) { return a.used < b.used; });
  if (!slot.bytes) {
    slot.bytes = std::make_unique<std::array<std::uint8_t, kPageBytes>>();
  }
  slot.page = UINT64_MAX; // what it held is overwritten even when the load fails
  if (auto done = load(number, *slot.bytes); !done) {
    return tl::unexpected(done.error());
  }
  slot.page = number;
  slot.used = ++clock_;
  return Page(*slot.bytes);
}

Result<void> KdumpMemory::load(std::uint64_t number, Page out) {
  const std::uint64_t address = number * kPageBytes;
  if (!stored_.has(number)) {
    if (!zero_.has(number)) {
      return fault(FaultCode::Unmapped, address);
    }
    std::ranges::fill(out, std::uint8_t{0});
    return {};
  }
  const auto descriptor =
      file().read_as<Descriptor>(descriptors_ + stored_.rank(number) * sizeof(Descriptor));
  if (!descriptor) {
    return fault(FaultCode::SourceGone, address);
  }
  if (descriptor->offset == zeroes_at_ && zeroes_at_ != 0) {
    std::ranges::fill(out, std::uint8_t{0});
    return {};
  }
  std::array<std::uint8_t, kPageBytes>
      stored{}; // compressed is never longer, or it is not stored so
  if (descriptor->size > stored.size() || !file().holds(descriptor->offset, descriptor->size)) {
    return fault(FaultCode::Malformed, address);
  }
  const auto bytes = std::span(stored).first(descriptor->size);
  if (!file().read(descriptor->offset, bytes)) {
    return fault(FaultCode::SourceGone, address);
  }
  if (!decompressor_.decompress(PageCompression{descriptor->flags}, bytes, out)) {
    return fault(FaultCode::Malformed, address);
  }
  if (std::ranges::all_of(out, [](std::uint8_t byte) { return byte == 0; })) {
    zeroes_at_ = descriptor->offset;
  }
  return {};
}

} // namespace outguard::guest
