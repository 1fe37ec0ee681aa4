#include "guest/symbols/kallsyms_layout.h"

#include <algorithm>
#include <cstring>

namespace outguard::guest {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t kTokens = 256;
constexpr std::size_t kTokenIndexBytes = kTokens * sizeof(std::uint16_t);
constexpr std::size_t kMaxTokenBytes = 128; ///< with its NUL; the longest seen has 24
constexpr std::size_t kMaxPadding = 8;      ///< below this many zeros align the next part

constexpr std::size_t kNamesPerMarker = 256;
/// 256 records take at least two bytes each (length, one token), and at most two bytes of length
/// and 511 tokens (KSYM_NAME_LEN is 512).
constexpr std::uint32_t kMinMarkerStep = kNamesPerMarker * 2;
constexpr std::uint32_t kMaxMarkerStep = kNamesPerMarker * 513;
constexpr std::size_t kMinMarkers =
    4; ///< less is no kernel; a short run of words is found anywhere
constexpr std::size_t kMaxSequenceBytes = std::size_t{3} * kMaxSymbols; ///< three bytes a symbol

std::size_t half_word_at(Bytes bytes, std::size_t position) {
  return static_cast<std::size_t>(bytes[position] | bytes[position + 1] << 8);
}

/// Token starts: the first is 0, and each is behind the NUL of the one before.
bool is_token_index(Bytes bytes, std::size_t position) {
  for (std::size_t i = 1; i < kTokens; ++i) {
    const std::size_t before = half_word_at(bytes, position + 2 * (i - 1));
    const std::size_t here = half_word_at(bytes, position + 2 * i);
    if (here < before + 2 || here > before + kMaxTokenBytes) {
      return false;
    }
  }
  return true;
}

/// Whether the 256 strings that `index` describes stand at `table` and end just before `index`.
bool is_token_table(Bytes bytes, std::size_t table, std::size_t index) {
  std::size_t start = table;
  for (std::size_t i = 0; i < kTokens; ++i) {
    if (start != table + half_word_at(bytes, index + 2 * i)) {
      return false;
    }
    const auto *nul =
        static_cast<const std::uint8_t *>(std::memchr(&bytes[start], 0, index - start));
    if (nul == nullptr) {
      return false;
    }
    const auto length = static_cast<std::size_t>(nul - &bytes[start]);
    const bool is_digit_or_letter = (i >= '0' && i <= '9') || (i >= 'a' && i <= 'z');
    if (is_digit_or_letter && (length != 1 || bytes[start] != i)) {
      return false;
    }
    start += length + 1;
    if (start >= index && i + 1 < kTokens) {
      return false;
    }
  }
  return index - start < kMaxPadding &&
         std::all_of(&bytes[start], &bytes[index], [](auto byte) { return byte == 0; });
}

std::optional<std::size_t> find_token_table(Bytes bytes, std::size_t index) {
  const std::size_t last_token = half_word_at(bytes, index + kTokenIndexBytes - 2);
  for (std::size_t tail = 2; tail <= kMaxTokenBytes + kMaxPadding; ++tail) {
    const std::size_t distance = last_token + tail;
    if (distance > index) {
      break;
    }
    if (const std::size_t table = index - distance;
        table % 4 == 0 && is_token_table(bytes, table, index)) {
      return table;
    }
  }
  return std::nullopt;
}

/// Walks all names: every marker must say where its 256 names begin, and the last name must end
/// just before the markers. Returns the end of the names.
std::optional<std::size_t> check_names(Bytes bytes, std::size_t names, std::size_t markers,
                                       std::uint32_t count, WalkBudget &budget) {
  std::size_t at = names;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (i % kNamesPerMarker == 0 &&
        at - names != word_at(bytes, markers + i / kNamesPerMarker * sizeof(std::uint32_t))) {
      return std::nullopt;
    }
    const auto record = name_record(bytes.first(markers), at);
    if (!record || !budget.take_bytes(1)) {
      return std::nullopt;
    }
    at = record->start + record->length;
  }
  return markers - at < kMaxPadding ? std::optional(at) : std::nullopt;
}

/// The names that end at `markers`, of which there are `marker_count`: their start is where the
/// count of symbols stands before it and the walk fits.
std::optional<KallsymsLayout> find_names(Bytes bytes, std::size_t markers, std::size_t marker_count,
                                         WalkBudget &budget) {
  const std::size_t last = word_at(bytes, markers + (marker_count - 1) * sizeof(std::uint32_t));
  const std::uint64_t most = marker_count * kNamesPerMarker;
  for (std::size_t tail = 2; tail <= kMaxMarkerStep + kMaxPadding; ++tail) {
    const std::size_t distance = last + tail;
    if (distance + 4 > markers || !budget.take_bytes(1)) {
      break;
    }
    const std::size_t names = markers - distance;
    if (names % 4 != 0) {
      continue;
    }
    for (const std::size_t count_position : {names - 8, names - 4}) { // wrapped: reads as 0
      const std::uint32_t count = word_at(bytes, count_position);
      if (count > most || count <= most - kNamesPerMarker || count > kMaxSymbols) {
        continue;
      }
      if (const auto end = check_names(bytes, names, markers, count, budget)) {
        return KallsymsLayout{count, count_position, names, *end, 0, 0};
      }
    }
  }
  return std::nullopt;
}

/// How many words from `markers` on, at most up to `end`, rise as markers do.
std::size_t count_markers(Bytes bytes, std::size_t markers, std::size_t end) {
  std::size_t count = 1;
  std::uint32_t before = 0;
  for (std::size_t at = markers + 4; at + 4 <= end; at += 4, ++count) {
    const std::uint32_t here = word_at(bytes, at);
    if (here < before || here - before < kMinMarkerStep || here - before > kMaxMarkerStep) {
      break;
    }
    before = here;
  }
  return count;
}

/// The markers end at the token table, or with the sequence table between. Backwards from there, a
/// run of words that starts with 0 and rises as markers do.
std::optional<KallsymsLayout> find_markers(Bytes bytes, std::size_t token_table,
                                           WalkBudget &budget) {
  const std::size_t lowest =
      token_table - std::min(token_table, kMaxSequenceBytes + kMaxSymbols / kNamesPerMarker * 4);
  for (std::size_t at = token_table & ~std::size_t{3}; at >= lowest + 4;) {
    at -= 4;
    if (!budget.take_bytes(1)) {
      break;
    }
    if (word_at(bytes, at) != 0 || word_at(bytes, at + 4) - kMinMarkerStep > kMaxMarkerStep) {
      continue;
    }
    const std::size_t count = count_markers(bytes, at, token_table);
    if (!budget.take_bytes(count)) {
      break;
    }
    // The first word behind the markers may happen to fit the row.
    for (std::size_t chance = 0; chance < 2 && count >= kMinMarkers + chance; ++chance) {
      if (auto found = find_names(bytes, at, count - chance, budget)) {
        return found;
      }
    }
  }
  return std::nullopt;
}

} // namespace

std::uint32_t word_at(Bytes bytes, std::size_t position) {
  std::uint32_t word = 0;
  if (position <= bytes.size() && bytes.size() - position >= sizeof word) {
    std::memcpy(&word, &bytes[position], sizeof word);
  }
  return word;
}

std::optional<NameRecord> name_record(Bytes bytes, std::size_t position) {
  if (position + 2 > bytes.size()) {
    return std::nullopt;
  }
  NameRecord record{position + 1, bytes[position]};
  // Two bytes since 6.1; before that a length was always below 128.
  if ((record.length & 0x80) != 0) {
    record = {position + 2, (record.length & 0x7f) | std::size_t{bytes[position + 1]} << 7};
  }
  if (record.length == 0 || record.length > bytes.size() - record.start) {
    return std::nullopt;
  }
  return record;
}

Result<KallsymsLayout> find_kallsyms_layout(Bytes bytes, std::size_t from, WalkBudget &budget) {
  for (std::size_t at = (from + 3) & ~std::size_t{3}; at + kTokenIndexBytes <= bytes.size();
       at += 4) {
    // The first two of the index: 0 and a small number. Rejects nearly everything in one look.
    const std::uint32_t first_two = word_at(bytes, at);
    if ((first_two & 0xffff) != 0 || (first_two >> 16) - 2 > kMaxTokenBytes ||
        !is_token_index(bytes, at)) {
      continue;
    }
    if (!budget.take_bytes(kTokens)) {
      return fault(FaultCode::LimitReached, at);
    }
    const auto table = find_token_table(bytes, at);
    if (!table) {
      continue;
    }
    if (auto found = find_markers(bytes, *table, budget)) {
      found->token_table = *table;
      found->token_index = at;
      return *found;
    }
  }
  return fault(FaultCode::NotFound);
}

} // namespace outguard::guest
