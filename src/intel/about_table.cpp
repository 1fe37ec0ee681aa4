#include "intel/about_table.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace outguard::intel {

std::string_view AboutTable::text_at(std::uint32_t offset) const {
  std::uint16_t size = 0;
  std::memcpy(&size, texts_.data() + offset, sizeof size);
  return std::string_view(texts_).substr(offset + sizeof size, size);
}

std::optional<std::uint32_t> AboutTable::append_text(std::string_view text) {
  const auto offset = texts_.size();
  if (offset + sizeof(std::uint16_t) + text.size() > UINT32_MAX) {
    return std::nullopt;
  }
  const auto size = static_cast<std::uint16_t>(text.size());
  std::array<char, sizeof size> length;
  std::memcpy(length.data(), &size, sizeof size);
  texts_.append(length.data(), length.size());
  texts_ += text;
  return static_cast<std::uint32_t>(offset);
}

std::optional<std::uint32_t> AboutTable::add_text(std::string_view text, std::size_t most) {
  text = text.substr(0, most);
  if (text.empty()) {
    return 0;
  }
  const auto [known, is_new] = known_texts_.try_emplace(hash_of(text.data(), text.size()), 0);
  if (!is_new && text_at(known->second) == text) {
    return known->second;
  }
  const auto offset = append_text(text);
  if (is_new && offset) {
    known->second = *offset;
  } else if (is_new) {
    known_texts_.erase(known);
  }
  return offset;
}

std::optional<std::uint32_t> AboutTable::add_id(std::string_view id) {
  id = id.substr(0, kMaxIdBytes);
  if (id.empty()) {
    return 0;
  }
  if (last_id_ != 0 && text_at(last_id_) == id) {
    return last_id_;
  }
  const auto offset = append_text(id);
  last_id_ = offset.value_or(0);
  return offset;
}

std::optional<std::uint32_t> AboutTable::add_tags(const std::vector<std::string> &tags,
                                                  About &about) {
  std::vector<std::uint32_t> run;
  for (std::size_t i = 0; i < std::min(tags.size(), kMaxTags); ++i) {
    const auto text = add_text(tags[i], kMaxTagBytes);
    if (!text) {
      return std::nullopt;
    }
    if (*text != 0) {
      run.push_back(*text);
    }
  }
  about.tag_count = static_cast<std::uint8_t>(run.size());
  if (run.empty()) {
    return 0;
  }
  const auto [known, is_new] = known_tags_.try_emplace(hash_of(run.data(), run.size()),
                                                       static_cast<std::uint32_t>(tags_.size()));
  const auto fits = [&](std::uint32_t at) {
    return run.size() <= tags_.size() - at &&
           std::equal(run.begin(), run.end(), tags_.begin() + static_cast<std::ptrdiff_t>(at));
  };
  if (!is_new && fits(known->second)) {
    return known->second;
  }
  if (tags_.size() + run.size() > UINT32_MAX) {
    return std::nullopt;
  }
  const auto at = static_cast<std::uint32_t>(tags_.size());
  tags_.insert(tags_.end(), run.begin(), run.end());
  return at;
}

std::optional<std::uint32_t> AboutTable::add(const IndicatorAbout &given) {
  About about;
  about.tlp = static_cast<std::uint8_t>(given.tlp);
  about.severity = given.severity <= 3 ? given.severity : std::uint8_t{3};
  about.first_seen = stored_time(given.first_seen);
  about.last_seen = stored_time(given.last_seen);
  about.valid_from = stored_time(given.valid_from);
  if (given.id.empty() && given.description.empty() && given.tags.empty() && about == About{}) {
    return 0;
  }
  const auto id = add_id(given.id);
  const auto description = add_text(given.description, kMaxAboutBytes);
  const auto first_tag = add_tags(given.tags, about);
  if (!id || !description || !first_tag || abouts_.size() >= kMaxRecords) {
    return std::nullopt;
  }
  about.id = *id;
  about.description = *description;
  about.first_tag = *first_tag;
  if (!abouts_.empty() && abouts_.back() == about) {
    return static_cast<std::uint32_t>(abouts_.size());
  }
  const auto next = static_cast<std::uint32_t>(abouts_.size() + 1);
  if (about.id == 0) { // what has an id is hardly shared
    const auto [known, is_new] = known_abouts_.try_emplace(hash_of(&about, 1), next);
    if (!is_new && this->about(known->second) == about) {
      return known->second;
    }
  }
  abouts_.push_back(about);
  return next;
}

} // namespace outguard::intel
