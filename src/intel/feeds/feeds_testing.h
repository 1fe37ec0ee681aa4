#pragma once
// For this folder's tests: a feed read from text, and what came out of it in words.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "intel/feeds/feed_reader.h"

namespace outguard::intel {

struct ReadFeed {
  std::vector<FeedReport> reports;
  std::vector<std::string> indicators; ///< "domain evil.com exact", in order
  std::vector<FeedIndicator> whole;

  explicit ReadFeed(const std::string &name, std::string_view text, FeedOptions options = {}) {
    const auto *raw = reinterpret_cast<const std::uint8_t *>(text.data());
    reports = read_feed(name, {raw, text.size()}, options, [this](const std::string &) {
      return [this](const FeedIndicator &given, std::uint32_t) {
        const auto &key = given.key;
        std::string words = std::string(to_string(key.type)) + " " +
                            key_text(key.type, key.prefix, key.bytes).value_or("?");
        if (key.type == IndicatorType::Domain && given.scope == MatchScope::Exact) {
          words += " exact";
        }
        indicators.push_back(words);
        whole.push_back(given);
        return Taken::Accepted;
      };
    });
  }

  [[nodiscard]] const FeedReport &report() const { return reports.at(0); }
  [[nodiscard]] std::map<std::string, std::uint64_t> reasons() const {
    return counts(report().reasons);
  }
  [[nodiscard]] std::map<std::string, std::uint64_t> ignored() const {
    return counts(report().ignored_kinds);
  }

private:
  static std::map<std::string, std::uint64_t> counts(const std::vector<RejectCount> &given) {
    std::map<std::string, std::uint64_t> map;
    for (const auto &count : given) {
      map[count.reason] = count.count;
    }
    return map;
  }
};

} // namespace outguard::intel
