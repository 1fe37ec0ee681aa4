#pragma once
// Remembers guest-physical pages for the length of one scan, so that a walk through /proc/PID/mem
// costs one system call a page and not one a field. forget() before each scan: the guest runs. Does
// not own the source. One thread at a time.

#include <array>
#include <memory>
#include <vector>

#include "guest/memory/memory_reader.h"

namespace outguard::guest {

class CachedMemory final : public MemoryReader {
public:
  static constexpr std::size_t kPageBytes = 4096;
  static constexpr std::size_t kDefaultPages =
      2048; ///< 8 MiB, of which only what is used is resident

  /// `pages` is rounded up to a power of two, at least kWays.
  explicit CachedMemory(MemoryReader &source, std::size_t pages = kDefaultPages);

  /// Everything is read anew from here on. Costs nothing.
  void forget() { ++generation_; }

  [[nodiscard]] std::span<const PhysicalRange> ranges() const override { return source_->ranges(); }

private:
  static constexpr std::size_t kWays = 4;
  static constexpr std::size_t kBulkBytes = 4 * kPageBytes; ///< not worth remembering
  struct Slot {
    std::uint64_t page = 0;
    std::uint64_t generation = 0; ///< 0: never filled
  };
  struct Set {
    std::array<Slot, kWays> slots;
    std::size_t next = 0; ///< to be replaced; round robin
  };

  [[nodiscard]] Result<const std::uint8_t *> page(std::uint64_t number);
  [[nodiscard]] Result<std::size_t> read_some(GuestPhysical address,
                                              std::span<std::uint8_t> out) override;

  MemoryReader *source_;
  std::vector<Set> sets_;
  std::unique_ptr<std::uint8_t[]> bytes_; ///< kWays pages a set
  std::uint64_t generation_ = 1;
};

} // namespace outguard::guest
