#pragma once
// Guest RAM for tests: sparse 4 KiB pages that are zero until written. Fails on demand and records
// what was asked. One thread at a time.

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "guest/memory/memory_reader.h"

namespace outguard::guest {

class FakeMemory final : public MemoryReader {
public:
  static constexpr std::uint64_t kPageBytes = 4096;
  struct Call {
    GuestPhysical address;
    std::size_t length = 0;
  };

  /// Makes RAM of every page that the range touches. What is there already stays.
  void map(GuestPhysical start, std::uint64_t length);
  /// Takes the page around `address` away: reads of it are Unmapped.
  void unmap(GuestPhysical address);
  /// Writes, making RAM where there is none.
  void write(GuestPhysical address, std::span<const std::uint8_t> bytes);
  template <class T> void put(GuestPhysical address, const T &value) {
    static_assert(std::is_trivially_copyable_v<T>);
    write(address, {reinterpret_cast<const std::uint8_t *>(&value), sizeof value});
  }

  /// No back-end read returns more than `most` bytes at a time.
  void limit_reads_to(std::size_t most) { most_per_read_ = most; }
  /// The `count` next back-end reads work, all later ones are SourceGone.
  void fail_after(std::size_t count) { reads_left_ = count; }
  /// As memory behind a system call.
  void make_costly(bool is_costly = true) { costly_ = is_costly; }
  [[nodiscard]] bool is_costly() const override { return costly_; }
  /// Called before each back-end read with how many there were: a guest that runs.
  void before_read(std::function<void(std::size_t)> change) { before_read_ = std::move(change); }

  [[nodiscard]] const std::vector<Call> &calls() const { return calls_; }
  void clear_calls() { calls_.clear(); }

  [[nodiscard]] std::span<const PhysicalRange> ranges() const override;

private:
  using Page = std::array<std::uint8_t, kPageBytes>;

  [[nodiscard]] Result<std::size_t> read_some(GuestPhysical address,
                                              std::span<std::uint8_t> out) override;

  /// Null: no RAM there.
  [[nodiscard]] Page *find(std::uint64_t page);

  static constexpr std::uint64_t kNearPages = 65536; ///< found without a search
  std::map<std::uint64_t, Page> pages_;              ///< by page number
  std::vector<Page *> near_;
  mutable std::vector<PhysicalRange> ranges_; ///< empty: to be made from pages_
  std::vector<Call> calls_;
  std::size_t most_per_read_ = SIZE_MAX;
  std::optional<std::size_t> reads_left_;
  std::function<void(std::size_t)> before_read_;
  bool costly_ = false;
};

} // namespace outguard::guest
