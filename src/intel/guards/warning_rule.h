#pragma once
// What a MISP warninglist is for, by what it says of itself: does it refuse or inform, and which
// types of indicators does it speak of? Pure functions.

#include <cstdint>
#include <string_view>
#include <vector>

#include "intel/indicator_key.h"

namespace outguard::intel {

/// MISP's category "known" informs and "false_positive" refuses; a list without one is sorted by
/// its name: clouds, VPNs, scanners, sinkholes and long top lists inform, since attackers rent, use
/// or reach them, and all others refuse. So do addresses of open resolvers, many of them hijacked
/// devices, and Akamai's, which are Linode's too.
enum class WarningRule : std::uint8_t { Refuse, Inform };
[[nodiscard]] WarningRule warning_rule(std::string_view name, std::string_view category);

[[nodiscard]] constexpr std::uint32_t type_bit(IndicatorType type) {
  return std::uint32_t{1} << static_cast<unsigned>(type);
}
/// The bits of the types that MISP's attribute types stand for; of all when none is named.
[[nodiscard]] std::uint32_t types_of(const std::vector<std::string_view> &attributes);

} // namespace outguard::intel
