#pragma once
// Collects indicators and lays them out as an index image. Owned by one thread; used once.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "intel/image_format.h"
#include "intel/indicator_key.h"

namespace outguard::intel {

using SourceId = std::uint16_t;

/// What a source says about an indicator, beside its key.
struct Mention {
  SourceId source = 0;
  std::uint32_t line = 0;
  DomainScope scope = DomainScope::WithSubdomains;
  std::uint8_t confidence = 0;  ///< 0..100
  std::int64_t valid_until = 0; ///< seconds since the epoch; 0: no end
};

class IndexBuilder {
public:
  enum class Added : std::uint8_t {
    New,       ///< first mention of this key
    Merged,    ///< another source had it, or this one with a narrower scope
    Duplicate, ///< this source said it before; nothing stored
    Full,      ///< a limit of the image is reached; nothing stored
  };

  explicit IndexBuilder(HashSeed seed) : hash_(seed), seed_(seed), slots_(kFirstSlots) {}

  /// nullopt: too many sources.
  [[nodiscard]] std::optional<SourceId> add_source(std::string_view name);
  [[nodiscard]] Added add(const IndicatorKey &key, const Mention &mention);
  [[nodiscard]] std::size_t indicators() const { return heads_; }

  /// LimitReached when keys collide beyond reason (a seed that was known to the feed's author).
  [[nodiscard]] Result<std::vector<std::uint8_t>> build() const;

private:
  static constexpr std::size_t kFirstSlots = 1024;
  static constexpr std::uint32_t kNone = UINT32_MAX;

  /// A record to be. Mentions of one key form a list, so that they can be laid out together.
  struct Entry {
    Record record;
    std::uint64_t hash = 0;
    std::uint32_t next = kNone; ///< mention of the same key
    bool head = false;
  };

  [[nodiscard]] std::string_view key_bytes(const Record &record) const;
  [[nodiscard]] bool is_same_key(const Entry &entry, std::uint64_t hash,
                                 const IndicatorKey &key) const;
  /// The slot that holds the key's head entry, or the free one where it belongs.
  [[nodiscard]] std::size_t find_slot(std::uint64_t hash, const IndicatorKey &key) const;
  [[nodiscard]] Added add_mention(std::uint32_t head, const Record &record);
  void note_prefix(const IndicatorKey &key);
  void grow();
  [[nodiscard]] std::vector<FilterWord> make_filter() const;
  /// Records with mentions together, and the slots that point to their heads.
  [[nodiscard]] bool lay_out(std::vector<Record> &records, std::vector<Slot> &slots) const;

  KeyHash hash_;
  HashSeed seed_;
  std::vector<Entry> entries_;
  std::vector<Slot> slots_; ///< as in the image, of entries instead of records; at most half used
  std::size_t heads_ = 0;
  std::string arena_;
  std::vector<SourceName> sources_;
  std::uint64_t prefixes_v4_ = 0;
  std::array<std::uint64_t, 2> prefixes_v6_{};
};

} // namespace outguard::intel
