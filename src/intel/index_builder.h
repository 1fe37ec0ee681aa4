#pragma once
// Collects indicators, allowlist entries and removals, and lays them out as an index image. Owned
// by one thread; used once.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "intel/about_table.h"
#include "intel/feed_indicator.h"
#include "intel/image_format.h"
#include "intel/page_vector.h"

namespace outguard::intel {

using SourceId = std::uint16_t;

class IndexBuilder {
public:
  enum class Added : std::uint8_t {
    New,       ///< first mention of this key
    Merged,    ///< another source had it, or this one with a narrower scope
    Duplicate, ///< this source said it before; its time of validity is widened, the rest stays
    Full,      ///< a limit of the image is reached; nothing stored
    BadValue,  ///< no key of its type; nothing stored
  };

  explicit IndexBuilder(HashSeed seed);

  /// nullopt: too many sources.
  [[nodiscard]] std::optional<SourceId> add_source(std::string_view name);
  /// Of Allowed, the description is the comment. Of Removed, the key alone counts.
  [[nodiscard]] Added add(const FeedIndicator &given, SourceId source, std::uint32_t line,
                          Role role = Role::Indicator);
  /// Different keys.
  [[nodiscard]] std::size_t count(Role role) const;

  /// LimitReached when keys collide beyond reason (a seed that was known to the feed's author).
  [[nodiscard]] Result<std::vector<std::uint8_t>> build() const;

private:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  /// A record to be. Mentions of one key form a list, so that they can be laid out together.
  struct Entry {
    Record record;
    std::uint32_t next = kNone; ///< mention of the same key
    bool head = false;
    std::uint64_t hash = 0; ///< of a head
  };

  static bool is_network_v4(const Record &record) {
    return record.kind == kind_of(Role::Indicator, IndicatorType::Network) && record.key_bytes == 4;
  }
  [[nodiscard]] std::string_view key_bytes(const Record &record) const;
  [[nodiscard]] bool is_same_key(const Entry &entry, std::uint64_t hash, const Record &record,
                                 std::string_view key) const;
  [[nodiscard]] std::size_t first_try(std::uint64_t hash) const {
    return hash >> 32 & (slots_.size() - 1);
  }
  /// Few keys come twice: what the filter has not seen is new, and no slot is looked at.
  [[nodiscard]] bool may_be_known(std::uint64_t hash) const {
    return (~seen_[filter_word(hash, seen_.size())] & filter_bits(hash)) == 0;
  }
  void see(std::uint64_t hash) { seen_[filter_word(hash, seen_.size())] |= filter_bits(hash); }
  /// The key's head entry, or kNone.
  [[nodiscard]] std::uint32_t find_head(std::uint64_t hash, const Record &record,
                                        std::string_view key);
  /// Gives the entries since the last time their slots: many at once need not wait one by one.
  void fill_slots();
  [[nodiscard]] Added add_key(std::uint64_t hash, std::string_view key, Record record,
                              const IndicatorAbout &about);
  [[nodiscard]] Added add_mention(std::uint32_t head, Record record, const IndicatorAbout &about);
  /// Stores what the source says of it. False: no room, and `record` is as it was.
  [[nodiscard]] bool tell(Record &record, const IndicatorAbout &about);
  [[nodiscard]] std::uint32_t begin_of(const Record &record) const;
  void widen_validity(Record &known, const Record &again, const IndicatorAbout &about);
  /// What look-ups must know to be few: lengths, label counts, gates.
  void note_shape(Role role, const FeedIndicator &given, std::string_view key);
  void make_room();
  void fill_filter(std::span<FilterWord> filter) const;
  [[nodiscard]] std::vector<std::uint32_t> make_lengths_v4() const;
  /// Records with mentions together, and the slots that point to their heads. False: keys collide.
  [[nodiscard]] bool lay_out(std::span<Record> records, std::span<Slot> slots) const;

  KeyHash hash_;
  HashSeed seed_;
  DigestBytes digest_{}; ///< of the key added last
  PageVector<Entry> entries_;
  PageVector<Slot> slots_;      ///< of entries; a power of two, at most half used
  std::size_t slotted_ = 0;     ///< entries that have their slots
  PageVector<FilterWord> seen_; ///< hashes of all heads
  std::size_t heads_ = 0;
  std::size_t allowed_ = 0, removed_ = 0; ///< of heads_
  PageVector<char> arena_;
  AboutTable abouts_;
  std::vector<SourceName> sources_;
  std::vector<std::uint64_t> gates_; ///< hashes
  std::size_t networks_v4_ = 0;
  PrefixLengths networks_, allowed_networks_;
  std::uint64_t domain_labels_ = 0;
  std::uint64_t types_ = 0;
  std::vector<std::uint64_t> url_lengths_; ///< empty while there is no prefix
};

} // namespace outguard::intel
