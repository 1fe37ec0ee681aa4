#pragma once
// HPACK (RFC 7541): header blocks of HTTP/2 to fields, with the static and the dynamic table. The
// table belongs to one direction of one connection; bounded by the size below.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "guest/bytes/byte_cursor.h"

namespace outguard::guest {

struct HpackField {
  std::string_view name;
  std::string_view value;
};

/// The fields that a sender refers to by number.
class HpackTable {
public:
  /// What a sender may make of it; four times what HTTP/2 begins with, and who wants more is not
  /// followed.
  static constexpr std::uint32_t kMostBytes = 16 * 1024;

  /// From 1 on: first the static ones, then the dynamic ones, newest first.
  [[nodiscard]] std::optional<HpackField> at(std::uint64_t index) const;
  /// `field` may not lie in the table.
  void insert(const HpackField &field);
  [[nodiscard]] bool resize(std::uint64_t bytes);

private:
  struct Entry {
    std::uint32_t name = 0; ///< lengths
    std::uint32_t value = 0;
    std::uint64_t start = 0; ///< counted from the first byte ever inserted
  };
  [[nodiscard]] std::size_t count() const { return entries_.size() - oldest_; }
  void evict(std::uint64_t room);

  std::vector<Entry> entries_; ///< oldest first, from oldest_ on
  std::size_t oldest_ = 0;
  std::string bytes_;              ///< names and values, one behind the other
  std::uint64_t bytes_start_ = 0;  ///< place of bytes_[0] as Entry counts
  std::uint64_t size_ = 0;         ///< as RFC 7541, 4.1 counts
  std::uint64_t most_size_ = 4096; ///< RFC 9113, 6.5.2
};

/// Memory that all blocks share.
struct HpackScratch {
  std::string name;
  std::string value;
};

/// The fields of one block, one after the other.
class HpackReader {
public:
  HpackReader(HpackTable &table, std::span<const std::uint8_t> block, HpackScratch &scratch)
      : table_(table), cursor_(block), scratch_(scratch) {}

  /// Good until the next call. nullopt: the end, or what is no HPACK: the table is useless then.
  [[nodiscard]] std::optional<HpackField> next();
  [[nodiscard]] bool failed() const { return failed_; }
  /// Bytes of all fields so far: one byte of the block may stand for thousands.
  [[nodiscard]] std::size_t decoded() const { return decoded_; }

private:
  std::optional<HpackField> fail();
  [[nodiscard]] std::optional<std::uint64_t> integer(std::uint8_t first, unsigned prefix_bits);
  [[nodiscard]] bool text(std::string &out);
  [[nodiscard]] bool count(const HpackField &field);
  [[nodiscard]] std::optional<HpackField> literal(std::uint64_t name_index);

  HpackTable &table_;
  ByteCursor cursor_;
  HpackScratch &scratch_;
  std::size_t decoded_ = 0;
  bool failed_ = false;
};

} // namespace outguard::guest
