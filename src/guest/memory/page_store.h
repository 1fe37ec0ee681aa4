#pragma once
// Whole pages of a memory whose every read costs a system call: each is fetched at most once a
// generation, and again in the next. A page that is missing is fetched in one read with those of
// its neighbours that were of use lately. Mapped memory needs none of this.
//
// A page kept agrees with itself, so what is compared must be of two generations: a fact that reads
// the same in both held at the moment between them. renew() begins the next one.
//
// Borrows the memory beneath. Bounded: the pages fetched longest ago make room. One thread.

#include <array>
#include <cstdint>
#include <vector>

#include "guest/memory/memory_reader.h"

namespace outguard::guest {

class PageStore final : public MemoryReader {
public:
  static constexpr std::size_t kPages = 768; ///< 3 MiB: what a phase of a walk comes back to

  explicit PageStore(MemoryReader &source);

  [[nodiscard]] std::span<const PhysicalRange> ranges() const override { return source_.ranges(); }
  [[nodiscard]] bool is_costly() const override { return source_.is_costly(); }
  void renew() override;
  void renew(GuestPhysical address, std::size_t length) override;
  [[nodiscard]] MemoryReader &uncached() override { return source_; }

private:
  static constexpr std::uint64_t kPageBytes = 4096;
  static constexpr std::uint64_t kBlockPages = 16; ///< the most that one read fetches: 64 KiB
  static constexpr std::size_t kIndexSize = std::size_t{1} << 15;
  static constexpr std::size_t kHabits = 8192;
  static constexpr std::size_t kBlocks = 4096;
  /// Reads of this size and more have no use for a copy.
  static constexpr std::size_t kBulkBytes = 4 * kPageBytes;

  struct Slot {
    std::uint64_t page = 0;
    std::uint64_t generation = 0; ///< 0: never filled, or dropped
    std::uint64_t first = 0;      ///< the page of its block that was missed first
    bool asked_for = false;       ///< not only fetched along with a neighbour
  };
  /// The pages of an aligned block that were of use in the generations that missed `first` first:
  /// what one phase of a walk wants of a block is not what another does.
  struct Habit {
    std::uint64_t first = 0;
    std::uint16_t pages = 0; ///< a bit each
  };
  /// Which page of a block was missed first.
  struct Opened {
    std::uint64_t first = 0;
    std::uint64_t generation = 0;
  };
  struct Run {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
  };

  [[nodiscard]] Result<std::size_t> read_some(GuestPhysical address,
                                              std::span<std::uint8_t> out) override;
  [[nodiscard]] bool keeps(std::uint64_t page);
  /// Where the page's bytes are; null when it is not kept.
  [[nodiscard]] const std::uint8_t *find(std::uint64_t page);
  [[nodiscard]] Result<void> fetch(const Run &run, std::uint64_t first);
  [[nodiscard]] Run run_around(std::uint64_t page, std::uint64_t first_of_block);
  [[nodiscard]] std::uint64_t first_missed(std::uint64_t page);
  [[nodiscard]] Habit &habit_of(std::uint64_t first);
  [[nodiscard]] std::uint16_t &index_of(std::uint64_t page);
  void evict(Slot &slot);

  MemoryReader &source_;
  std::uint64_t generation_ = 1;
  std::size_t next_ = 0; ///< slot to be filled next; the ring goes round
  std::vector<std::uint8_t> bytes_;
  std::array<Slot, kPages> slots_{};
  std::vector<std::uint16_t> index_; ///< page -> slot; a collision costs a read, nothing else
  std::vector<Habit> habits_;        ///< likewise
  std::vector<Opened> opened_;       ///< likewise
};

} // namespace outguard::guest
