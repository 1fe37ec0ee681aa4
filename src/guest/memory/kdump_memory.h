#pragma once
// Compressed kdump files, versions 1 to 6: makedumpfile's and QEMU's (dump-guest-memory -z -l -s).
// A bitmap says which pages are there; the n-th of them is described by the n-th descriptor. Pages
// are decompressed when read, the last ones are kept. One thread at a time.

#include <array>
#include <memory>
#include <vector>

#include "guest/memory/dump_file_memory.h"
#include "guest/memory/page_decompressor.h"

namespace outguard::guest {

class KdumpMemory final : public DumpFileMemory {
public:
  static constexpr std::size_t kPageBytes = 4096;

  /// `file` begins with the signature; a flattened one must have been opened as such.
  [[nodiscard]] static Opened<std::unique_ptr<DumpFileMemory>>
  open(std::unique_ptr<FileBytes> file);

private:
  using Page = std::span<std::uint8_t, kPageBytes>;
  class Bitmap { ///< of page frame numbers, with the rank of each
  public:
    [[nodiscard]] static Opened<Bitmap> read(const FileBytes &file, std::uint64_t offset,
                                             std::uint64_t pages);
    [[nodiscard]] std::uint64_t pages() const { return words_.size() * 64; }
    [[nodiscard]] bool has(std::uint64_t page) const {
      return page < pages() && (words_[page / 64] >> (page % 64) & 1) != 0;
    }
    /// How many pages below this one are there.
    [[nodiscard]] std::uint64_t rank(std::uint64_t page) const;
    [[nodiscard]] std::uint64_t count() const { return count_; }

  private:
    std::vector<std::uint64_t> words_;
    std::vector<std::uint64_t> sums_; ///< pages before every eighth word
    std::uint64_t count_ = 0;
  };
  struct Contents {
    std::vector<CpuRegisters> registers;
    Bitmap stored;                 ///< pages with a descriptor
    Bitmap zero;                   ///< may hold others too: RAM left out since it is all zeroes
    std::uint64_t descriptors = 0; ///< where they begin
  };

  KdumpMemory(std::unique_ptr<FileBytes> file, Contents contents);
  [[nodiscard]] static Opened<Contents> parse(const FileBytes &file);
  [[nodiscard]] Opened<void> find_ranges();
  [[nodiscard]] Result<std::size_t> read_some(GuestPhysical address,
                                              std::span<std::uint8_t> out) override;
  /// The page's content, in the cache.
  [[nodiscard]] Result<Page> page(std::uint64_t number);
  [[nodiscard]] Result<void> load(std::uint64_t number, Page out);

  struct Slot {
    std::uint64_t page = UINT64_MAX;
    std::uint64_t used = 0;
    std::unique_ptr<std::array<std::uint8_t, kPageBytes>> bytes; ///< null: never used
  };
  static constexpr std::size_t kWays = 4;
  static constexpr std::size_t kSets = 4096; ///< 64 MiB of pages

  Bitmap stored_, zero_;
  std::uint64_t descriptors_;
  PageDecompressor decompressor_;
  std::uint64_t zeroes_at_ = 0; ///< in the file: QEMU stores one page of zeroes for all
  std::vector<Slot> slots_;
  std::uint64_t clock_ = 0;
};

} // namespace outguard::guest
