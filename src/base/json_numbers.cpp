#include "base/json_numbers.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace outguard {

namespace {

/// Behind the string that begins at `at`.
std::size_t skip_string(std::string_view json, std::size_t at) {
  for (++at; at < json.size() && json[at] != '"'; ++at) {
    at += json[at] == '\\' ? 1U : 0U;
  }
  return std::min(at + 1, json.size());
}

template <class Number> bool is_too_large(std::string_view token) {
  Number value{};
  const auto *const end = token.data() + token.size();
  const auto [stop, error] = std::from_chars(token.data(), end, value);
  return error == std::errc::result_out_of_range && stop == end;
}

bool fits_nothing(std::string_view token) {
  if (token.find_first_of(".eE") != token.npos) {
    return is_too_large<double>(token);
  }
  return is_too_large<std::int64_t>(token) &&
         (token.front() == '-' || is_too_large<std::uint64_t>(token));
}

} // namespace

std::string mask_large_numbers(std::string_view json) {
  std::string masked;
  for (std::size_t at = 0; at < json.size();) {
    const char c = json[at];
    if (c == '"') {
      at = skip_string(json, at);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
      const auto end = std::min(json.find_first_not_of("0123456789+-.eE", at), json.size());
      if (fits_nothing(json.substr(at, end - at))) {
        masked = masked.empty() ? std::string(json) : std::move(masked);
        masked.replace(at, end - at, end - at, '?');
        masked[at] = masked[end - 1] = '"'; // the shortest is 1e309
      }
      at = end;
    } else {
      ++at;
    }
  }
  return masked;
}

} // namespace outguard
