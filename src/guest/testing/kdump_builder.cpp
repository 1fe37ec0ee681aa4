#include "guest/testing/kdump_builder.h"

#include <algorithm>
#include <string_view>

#include <lzo/lzo1x.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

namespace outguard::guest {
namespace {

std::vector<std::uint8_t> compress_page(std::span<const std::uint8_t> page,
                                        PageCompression compression) {
  std::vector<std::uint8_t> out(2 * page.size() + 1024);
  std::size_t length = out.size();
  switch (compression) {
  case PageCompression::None:
    return {page.begin(), page.end()};
  case PageCompression::Zlib: {
    uLongf size = out.size();
    compress2(out.data(), &size, page.data(), page.size(), Z_BEST_SPEED);
    length = size;
    break;
  }
  case PageCompression::Lzo: {
    std::vector<std::uint8_t> work(LZO1X_1_MEM_COMPRESS);
    lzo_uint size = out.size();
    lzo1x_1_compress(page.data(), page.size(), out.data(), &size, work.data());
    length = size;
    break;
  }
  case PageCompression::Snappy:
    snappy_compress(reinterpret_cast<const char *>(page.data()), page.size(),
                    reinterpret_cast<char *>(out.data()), &length);
    break;
  case PageCompression::Zstd:
    length = ZSTD_compress(out.data(), out.size(), page.data(), page.size(), 1);
    break;
  }
  out.resize(length);
  return out;
}

/// A file that grows where it is written to.
class File {
public:
  template <class T> void put(std::uint64_t offset, const T &value) {
    write(offset, {reinterpret_cast<const std::uint8_t *>(&value), sizeof value});
  }
  void write(std::uint64_t offset, std::span<const std::uint8_t> data) {
    bytes_.resize(std::max<std::size_t>(bytes_.size(), offset + data.size()));
    std::copy(data.begin(), data.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  void text(std::uint64_t offset, std::string_view data) {
    write(offset, {reinterpret_cast<const std::uint8_t *>(data.data()), data.size()});
  }
  [[nodiscard]] std::vector<std::uint8_t> take() { return std::move(bytes_); }

private:
  std::vector<std::uint8_t> bytes_;
};

void append_be64(std::vector<std::uint8_t> &bytes, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<std::uint8_t>(value >> shift));
  }
}

} // namespace

void KdumpBuilder::add_memory(std::uint64_t guest_physical, std::span<const std::uint8_t> bytes,
                              PageCompression compression) {
  for (std::uint64_t page = guest_physical / kPageBytes; !bytes.empty(); ++page) {
    pages_[page] = {compress_page(bytes.first(kPageBytes), compression), compression, false};
    max_page = std::max(max_page, page + 1);
    bytes = bytes.subspan(kPageBytes);
  }
}

void KdumpBuilder::leave_out(std::uint64_t guest_physical) {
  pages_[guest_physical / kPageBytes].left_out = true;
  max_page = std::max(max_page, guest_physical / kPageBytes + 1);
}

std::vector<std::uint8_t> KdumpBuilder::build() const {
  // Positions of makedumpfile's diskdump_mod.h on x86-64.
  File file;
  const std::uint64_t one_bitmap = (max_page / 8 / kPageBytes + 1) * kPageBytes;
  file.text(0, "KDUMP   ");
  file.put(8, version);
  file.text(12, "Linux");
  file.text(12 + 4 * 65, machine);
  file.put(424, status);
  file.put(428, block_size);
  file.put(432, std::uint32_t{1});
  file.put(436, bitmap_blocks.value_or(static_cast<std::uint32_t>(2 * one_bitmap / kPageBytes)));
  file.put(440, static_cast<std::uint32_t>(max_page));
  constexpr std::uint64_t kSub = kPageBytes;
  file.put(kSub + 8, dump_level);
  file.put(kSub + 12, split);
  file.put(kSub + 96, max_page);
  const std::uint64_t bitmaps = 2 * kPageBytes;
  std::vector<std::uint8_t> all(one_bitmap);
  std::vector<std::uint8_t> stored(one_bitmap);
  std::size_t count = 0;
  for (const auto &[number, page] : pages_) {
    const auto bit = static_cast<std::uint8_t>(1U << (number % 8));
    all[number / 8] |= bit;
    stored[number / 8] |= page.left_out ? std::uint8_t{0} : bit;
    count += page.left_out ? 0 : 1;
  }
  file.write(bitmaps, all);
  file.write(bitmaps + one_bitmap, stored);
  std::uint64_t descriptor_at = bitmaps + 2 * one_bitmap;
  std::uint64_t data_at = descriptor_at + count * sizeof(Descriptor);
  if (!notes.empty()) {
    file.put(kSub + 48, data_at);
    file.put(kSub + 56, std::uint64_t{notes.size()});
    file.write(data_at, notes);
    data_at += notes.size();
  }
  for (const auto &[number, page] : pages_) {
    if (page.left_out) {
      continue;
    }
    Descriptor descriptor{data_at, static_cast<std::uint32_t>(page.stored.size()),
                          static_cast<std::uint32_t>(page.compression)};
    file.write(data_at, page.stored);
    data_at += page.stored.size();
    const auto change = spoiled.find(number);
    file.put(descriptor_at, change == spoiled.end() ? descriptor : change->second);
    descriptor_at += sizeof descriptor;
  }
  return file.take();
}

std::vector<std::uint8_t> flatten(std::span<const FlatRecord> records, bool end_mark) {
  std::vector<std::uint8_t> flat;
  constexpr std::string_view kSignature("makedumpfile\0\0\0\0", 16);
  flat.assign(kSignature.begin(), kSignature.end());
  append_be64(flat, 1); // type
  append_be64(flat, 1); // version
  flat.resize(4096);
  for (const auto &record : records) {
    append_be64(flat, record.offset);
    append_be64(flat, record.bytes.size());
    flat.insert(flat.end(), record.bytes.begin(), record.bytes.end());
  }
  if (end_mark) {
    append_be64(flat, UINT64_MAX);
    append_be64(flat, UINT64_MAX);
  }
  return flat;
}

std::vector<std::uint8_t> flatten(std::span<const std::uint8_t> file, std::size_t record_bytes) {
  std::vector<FlatRecord> records;
  records.push_back({0, std::vector<std::uint8_t>(record_bytes)});
  for (std::size_t at = 0; at < file.size(); at += record_bytes) {
    const auto part = file.subspan(at, std::min(record_bytes, file.size() - at));
    records.push_back({at, {part.begin(), part.end()}});
  }
  std::rotate(records.begin() + 1, records.begin() + 2, records.end()); // the real start comes last
  return flatten(records);
}

} // namespace outguard::guest
