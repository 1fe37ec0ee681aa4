#include "policy/path_pattern.h"

namespace outguard::policy {

bool path_matches(std::string_view pattern, std::string_view path) {
  const bool folder = pattern.ends_with('/');
  // Going back to the last '*' alone is enough: one before a '/' ended with its own component.
  constexpr auto kNone = std::string_view::npos;
  std::size_t star = kNone, star_path = 0;
  std::size_t in_pattern = 0, in_path = 0;
  while (in_path < path.size()) {
    if (folder && in_pattern == pattern.size()) {
      return true; // something is below
    }
    if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
      star = in_pattern++;
      star_path = in_path;
    } else if (in_pattern < pattern.size() && pattern[in_pattern] == path[in_path]) {
      ++in_pattern;
      ++in_path;
    } else if (star != kNone && path[star_path] != '/') {
      in_pattern = star + 1;
      in_path = ++star_path;
    } else {
      return false;
    }
  }
  while (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
    ++in_pattern;
  }
  return !folder && in_pattern == pattern.size();
}

} // namespace outguard::policy
