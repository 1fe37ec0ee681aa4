#pragma once
// What sources say of their indicators, each text and each combination once: a feed's thousands of
// indicators share most of it. Part of an IndexBuilder; one thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "intel/feed_indicator.h"
#include "intel/image_format.h"

namespace outguard::intel {

class AboutTable {
public:
  explicit AboutTable(HashSeed seed) : hash_(seed), seed_(seed) {}

  /// What goes into Record::about: 0 where nothing is said. nullopt: no room.
  [[nodiscard]] std::optional<std::uint32_t> add(const IndicatorAbout &about);
  /// As stored, cut to `most` bytes; one that is here already is not stored again. nullopt: no
  /// room.
  [[nodiscard]] std::optional<std::uint32_t> add_text(std::string_view text, std::size_t most);

  [[nodiscard]] const About &about(std::uint32_t index_plus_one) const {
    return abouts_[index_plus_one - 1];
  }
  [[nodiscard]] const std::vector<About> &abouts() const { return abouts_; }
  [[nodiscard]] const std::vector<std::uint32_t> &tags() const { return tags_; }
  [[nodiscard]] const std::string &texts() const { return texts_; }

private:
  /// What has this hash, if it was seen; a second value with it is stored but not found again.
  using Known = std::unordered_map<std::uint64_t, std::uint32_t>;

  template <class T> [[nodiscard]] std::uint64_t hash_of(const T *items, std::size_t count) const {
    return hash_.add(seed_.start, {reinterpret_cast<const char *>(items), count * sizeof(T)});
  }
  [[nodiscard]] std::string_view text_at(std::uint32_t offset) const;
  [[nodiscard]] std::optional<std::uint32_t> append_text(std::string_view text);
  /// An id is the source's own for one indicator or one object: only the last may come again.
  [[nodiscard]] std::optional<std::uint32_t> add_id(std::string_view id);
  [[nodiscard]] std::optional<std::uint32_t> add_tags(const std::vector<std::string> &tags,
                                                      About &about);

  KeyHash hash_;
  HashSeed seed_;
  std::vector<About> abouts_;
  std::vector<std::uint32_t> tags_;
  std::string texts_ = std::string(1, '\0'); ///< no text stands at 0
  Known known_texts_, known_tags_, known_abouts_;
  std::uint32_t last_id_ = 0;
};

} // namespace outguard::intel
