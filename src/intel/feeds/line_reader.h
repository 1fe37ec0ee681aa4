#pragma once
// Splits a text into lines without copying. CR before LF belongs to the line's end. Value type.

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace outguard::intel {

class LineReader {
public:
  explicit LineReader(std::string_view text) : rest_(text) {}

  /// False at the end; `line()` and `number()` then stay.
  bool next() {
    if (rest_.empty()) {
      return false;
    }
    line_ = rest_.substr(0, rest_.find('\n'));
    rest_.remove_prefix(std::min(line_.size() + 1, rest_.size()));
    if (line_.ends_with('\r')) {
      line_.remove_suffix(1);
    }
    ++number_;
    return true;
  }
  [[nodiscard]] std::string_view line() const { return line_; }
  [[nodiscard]] std::uint32_t number() const { return number_; } ///< from 1

private:
  std::string_view rest_;
  std::string_view line_;
  std::uint32_t number_ = 0;
};

[[nodiscard]] inline std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  return first == text.npos ? std::string_view()
                            : text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

/// Takes the text up to `separator` off the front of `rest`, and the separator.
inline std::string_view take_until(std::string_view &rest, char separator) {
  const auto part = rest.substr(0, rest.find(separator));
  rest.remove_prefix(std::min(part.size() + 1, rest.size()));
  return part;
}

} // namespace outguard::intel
