#pragma once
// Collects indicators, allowlist entries and removals, and lays them out as an index image. Owned
// by one thread; used once.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "intel/about_table.h"
#include "intel/feed_indicator.h"
#include "intel/image_format.h"

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

  explicit IndexBuilder(HashSeed seed)
      : hash_(seed), seed_(seed), slots_(kFirstSlots), abouts_(seed) {}

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
  static constexpr std::size_t kFirstSlots = 1024;
  static constexpr std::uint32_t kNone = UINT32_MAX;

  /// A record to be. Mentions of one key form a list, so that they can be laid out together.
  struct Entry {
    Record record;
    std::uint32_t next = kNone; ///< mention of the same key
    bool head = false;
    std::uint64_t hash = 0;
  };

  [[nodiscard]] std::string_view key_bytes(const Record &record) const;
  [[nodiscard]] bool is_same_key(const Entry &entry, std::uint64_t hash, const Record &record,
                                 std::string_view key) const;
  /// The slot that holds the key's head entry, or the free one where it belongs.
  [[nodiscard]] std::size_t find_slot(std::uint64_t hash, const Record &record,
                                      std::string_view key) const;
  [[nodiscard]] Added add_mention(std::uint32_t head, const Record &record);
  void widen_validity(Record &known, const Record &again) const;
  /// What look-ups must know to be few: lengths, label counts, gates.
  void note_shape(Role role, const FeedIndicator &given, std::string_view key);
  void grow();
  [[nodiscard]] std::vector<FilterWord> make_filter() const;
  [[nodiscard]] std::vector<std::uint32_t> make_lengths_v4() const;
  /// Records with mentions together, and the slots that point to their heads.
  [[nodiscard]] bool lay_out(std::vector<Record> &records, std::vector<Slot> &slots) const;

  KeyHash hash_;
  HashSeed seed_;
  std::vector<Entry> entries_;
  std::vector<Slot> slots_; ///< of entries; a power of two, at most half used
  std::size_t heads_ = 0;
  std::size_t allowed_ = 0, removed_ = 0; ///< of heads_
  std::string arena_;
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
