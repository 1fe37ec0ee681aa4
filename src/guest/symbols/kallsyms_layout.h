#pragma once
// Where the parts of the kallsyms tables lie in a copy of the kernel's read-only data, found by
// their shape alone. Written by scripts/kallsyms.c at kernel build time; the order of the parts is
//   4.6 to 6.3   offsets, base, count, names, markers, [sequence], tokens, token index
//   from 6.4     count, names, markers, tokens, token index, offsets, [base], [sequence]
// Read here: 4-byte markers (4.20 on), name lengths of one or two bytes, parts aligned to 8 or
// (7.0) 4.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "guest/bytes/fault.h"
#include "guest/bytes/walk_budget.h"

namespace outguard::guest {

inline constexpr std::uint32_t kMaxSymbols = 1U << 20; ///< a Debian kernel has 90,000 to 250,000

/// Positions are bytes from the start of the copy; all parts were checked to lie inside it.
struct KallsymsLayout {
  std::uint32_t count = 0; ///< symbols
  std::size_t count_position = 0;
  std::size_t names = 0;
  std::size_t names_end = 0;
  std::size_t token_table = 0;
  std::size_t token_index = 0;
};

/// A 32-bit little-endian word; 0 when it does not lie inside, which no check here takes for valid.
[[nodiscard]] std::uint32_t word_at(std::span<const std::uint8_t> bytes, std::size_t position);

/// How long the name record at `position` is; both are bytes. nullopt at the end or for an empty
/// name.
struct NameRecord {
  std::size_t start = 0; ///< of the token numbers, behind the length
  std::size_t length = 0;
};
[[nodiscard]] std::optional<NameRecord> name_record(std::span<const std::uint8_t> bytes,
                                                    std::size_t position);

/// The first complete set of tables whose token index lies at or after `from`; NotFound: no more.
/// To go on behind a set that proved wrong, pass its token_index + 1. Data made to look like tables
/// again and again would cost minutes: what goes beyond one look at each word is taken from the
/// budget, a byte for a word looked at (a real kernel's tables take about a million).
[[nodiscard]] Result<KallsymsLayout> find_kallsyms_layout(std::span<const std::uint8_t> bytes,
                                                          std::size_t from, WalkBudget &budget);

} // namespace outguard::guest
