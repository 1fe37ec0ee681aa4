#pragma once
// For this folder's fuzzers: reads bytes as a feed and checks that what is counted was handed out.

#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "intel/feeds/feed_reader.h"

namespace outguard::intel {

inline void check_feed(const std::string &name, std::span<const std::uint8_t> bytes,
                       std::optional<FeedFormat> format) {
  FeedOptions options;
  options.format = format;
  std::uint64_t taken = 0;
  const auto reports = read_feed(name, bytes, options, [&](const std::string &) {
    return [&](const FeedIndicator &given, std::uint32_t) {
      const auto &key = given.key;
      const auto &about = given.about;
      if (!key_text(key.type, key.prefix, key.bytes) || given.confidence > 100 ||
          about.tags.size() > kMaxTags || about.id.size() > kMaxIdBytes ||
          about.description.size() > kMaxAboutBytes) {
        std::abort();
      }
      ++taken;
      return Taken::Accepted;
    };
  });
  std::uint64_t accepted = 0;
  for (const auto &report : reports) {
    accepted += report.accepted;
    std::uint64_t rejected = 0;
    for (const auto &reason : report.reasons) {
      rejected += reason.count;
    }
    const bool explained = report.accepted != 0 || !report.problem.empty() || !report.note.empty();
    if (rejected != report.rejected || !explained) {
      std::abort();
    }
  }
  if (taken != accepted) {
    std::abort();
  }
}

inline std::vector<std::vector<std::uint8_t>>
seeds_of(std::initializer_list<std::string_view> texts) {
  std::vector<std::vector<std::uint8_t>> seeds;
  for (const auto text : texts) {
    seeds.emplace_back(text.begin(), text.end());
  }
  return seeds;
}

} // namespace outguard::intel
