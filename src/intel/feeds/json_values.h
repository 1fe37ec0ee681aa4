#pragma once
// Values of a parsed JSON document as plain ones; what is of another type is not there. For the
// sources that the JSON library stays behind: json_feed.cpp and json_records.cpp.

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

#include <simdjson.h>

#include "base/json_numbers.h"

namespace outguard::intel {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

/// One number that no machine holds costs the member it is, not the document. The root lives as
/// long as the parser, which has room for the text; the text need not.
inline simdjson::error_code parse_document(simdjson::dom::parser &parser, std::string_view text,
                                           element &root) {
  const auto error = parser.parse(text.data(), text.size()).get(root);
  if (error != simdjson::NUMBER_ERROR) {
    return error;
  }
  const auto masked = mask_large_numbers(text);
  return masked.empty() ? error : parser.parse(masked.data(), masked.size()).get(root);
}

inline std::string_view text_of(const element &value) {
  std::string_view text;
  return value.get(text) == simdjson::SUCCESS ? text : std::string_view();
}

/// true, 1, "1" and "true".
inline bool flag_of(const element &value) {
  bool flag = false;
  if (value.get(flag) == simdjson::SUCCESS) {
    return flag;
  }
  std::int64_t number = 0;
  if (value.get(number) == simdjson::SUCCESS) {
    return number != 0;
  }
  const auto text = text_of(value);
  return text == "1" || text == "true";
}

inline std::optional<std::int64_t> number_of(const element &value) {
  std::int64_t number = 0;
  if (value.get(number) == simdjson::SUCCESS) {
    return number;
  }
  const auto text = text_of(value);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc{} && end == text.data() + text.size() && !text.empty();
  return whole ? std::optional(number) : std::nullopt;
}

template <class Take> void for_each(const element &value, Take &&take) {
  array list;
  if (value.get(list) == simdjson::SUCCESS) {
    for (const element item : list) {
      take(item);
    }
  }
}

inline std::optional<element> member(const element &parent, std::string_view name) {
  element value;
  return parent.is_object() && parent[name].get(value) == simdjson::SUCCESS ? std::optional(value)
                                                                            : std::nullopt;
}

} // namespace outguard::intel
