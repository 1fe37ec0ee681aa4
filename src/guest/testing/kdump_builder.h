#pragma once
// Builds compressed kdump files as makedumpfile writes them, and flattens any file as
// `makedumpfile -F` does. Headers are plain fields that a test may spoil before build().

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "guest/memory/page_decompressor.h"

namespace outguard::guest {

class KdumpBuilder {
public:
  static constexpr std::size_t kPageBytes = 4096;
  struct Descriptor {
    std::uint64_t offset = 0;
    std::uint32_t size = 0;
    std::uint32_t flags = 0;
    std::uint64_t page_flags = 0;
  };

  /// Whole pages; `guest_physical` is a multiple of their size.
  void add_memory(std::uint64_t guest_physical, std::span<const std::uint8_t> bytes,
                  PageCompression compression);
  /// RAM that the writer left out.
  void leave_out(std::uint64_t guest_physical);

  std::uint32_t version = 6;
  std::uint32_t block_size = kPageBytes;
  std::uint32_t status = 0;
  std::uint32_t dump_level = 0;
  std::uint32_t split = 0;
  std::uint64_t max_page = 0;                 ///< one more than the last page frame number
  std::optional<std::uint32_t> bitmap_blocks; ///< nullopt: what it takes
  const char *machine = "x86_64";
  std::vector<std::uint8_t> notes;
  /// Changes to make in the descriptors, by page frame number.
  std::map<std::uint64_t, Descriptor> spoiled;

  [[nodiscard]] std::vector<std::uint8_t> build() const;

private:
  struct Page {
    std::vector<std::uint8_t> stored;
    PageCompression compression = PageCompression::None;
    bool left_out = false;
  };
  std::map<std::uint64_t, Page> pages_; ///< by page frame number
};

/// One record of a flattened file: `bytes` go to `offset`.
struct FlatRecord {
  std::uint64_t offset = 0;
  std::vector<std::uint8_t> bytes;
};
[[nodiscard]] std::vector<std::uint8_t> flatten(std::span<const FlatRecord> records,
                                                bool end_mark = true);
/// Cut into records of `record_bytes`, with the first one written twice, at first with zeroes: as
/// the writers do with headers that they do not know yet.
[[nodiscard]] std::vector<std::uint8_t> flatten(std::span<const std::uint8_t> file,
                                                std::size_t record_bytes);

} // namespace outguard::guest
