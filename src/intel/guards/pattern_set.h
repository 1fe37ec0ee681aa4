#pragma once
// Many substrings and regular expressions, looked for in one pass whose time is linear in the text,
// whatever the patterns are. The library stays behind the one .cpp. One thread.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace outguard::intel {

inline constexpr std::size_t kMaxPatterns = 20'000;
inline constexpr std::size_t kMaxPatternBytes = 512;

class PatternSet {
public:
  PatternSet();
  ~PatternSet();
  PatternSet(const PatternSet &) = delete;
  PatternSet &operator=(const PatternSet &) = delete;

  /// `id` is told when it is found; several patterns may have one. False: too long, too many, or no
  /// regular expression that can be matched in bounded time (back-references, look-around).
  [[nodiscard]] bool add_substring(std::string_view text, std::uint32_t id);
  [[nodiscard]] bool add_regex(std::string_view pattern, std::uint32_t id);

  /// In any letter case; ids in the order of the patterns. What is added later needs another pass
  /// over the patterns, once. Out of memory for the search (bounded): `failures` counts, nothing is
  /// found.
  [[nodiscard]] std::vector<std::uint32_t> find(std::string_view text);
  [[nodiscard]] std::uint64_t failures() const { return failures_; }

private:
  struct Matcher;

  [[nodiscard]] bool make_matcher();

  std::vector<std::string> patterns_;
  std::vector<std::uint32_t> ids_;
  std::unique_ptr<Matcher> matcher_; ///< null until asked
  std::uint64_t failures_ = 0;
};

} // namespace outguard::intel
