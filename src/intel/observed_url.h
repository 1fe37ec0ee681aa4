#pragma once
// The canonical forms under which an observed URL is looked up. Nearly every URL is canonical as it
// was asked for, and is then a view of the text; others are made. Lives no longer than the text.

#include <array>
#include <string>
#include <string_view>

namespace outguard::intel {

class ObservedUrl {
public:
  explicit ObservedUrl(std::string_view text);
  ObservedUrl(const ObservedUrl &) = delete;
  ObservedUrl &operator=(const ObservedUrl &) = delete;

  /// With scheme (empty: it has none), without. Both empty: no list can hold such a host.
  [[nodiscard]] const std::array<std::string_view, 2> &whole() const { return whole_; }
  /// Path and query, whatever the host is; empty: there is none.
  [[nodiscard]] std::string_view target() const { return target_; }

private:
  [[nodiscard]] bool take_plain(std::string_view text);
  void make(std::string_view text);

  std::array<std::string, 3> made_;
  std::array<std::string_view, 2> whole_;
  std::string_view target_;
};

} // namespace outguard::intel
