#pragma once
// The canonical form of a domain name: lower-case ASCII labels, no trailing dot. What is written in
// another script becomes A-labels, as on the wire.

#include <string>
#include <string_view>

#include "intel/reject_reason.h"

namespace outguard::intel {

inline constexpr std::size_t kMaxNameBytes = 253; ///< RFC 1035, 255 on the wire
inline constexpr std::size_t kMaxLabelBytes = 63;

[[nodiscard]] constexpr char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Letters, digits, hyphens and underscores in at least two labels; the last is not a number.
[[nodiscard]] Parsed<std::string> normalise_domain(std::string_view text);

/// Where the part of an observed name begins that a list can hold: behind the last label with an
/// escape (RFC 1035, 5.1; within one a dot separates nothing). npos: nowhere.
[[nodiscard]] std::size_t behind_escapes(std::string_view name);

} // namespace outguard::intel
