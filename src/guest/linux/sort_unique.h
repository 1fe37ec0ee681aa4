#pragma once
// Sorts, and drops what a walk found more than once. (clang 14 does not compile
// std::ranges::unique.)

#include <algorithm>
#include <functional>
#include <vector>

namespace outguard::guest {

/// Two elements with the same `key` are one.
template <class T, class Key = std::identity> void sort_unique(std::vector<T> &all, Key key = {}) {
  std::ranges::sort(all, {}, key);
  const auto is_same = [&key](const T &a, const T &b) {
    return std::invoke(key, a) == std::invoke(key, b);
  };
  all.erase(std::unique(all.begin(), all.end(), is_same), all.end());
}

} // namespace outguard::guest
