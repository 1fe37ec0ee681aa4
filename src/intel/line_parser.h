#pragma once
// What one line of a plain list or hosts file says. Pure functions; no exceptions.

#include <functional>
#include <string_view>

#include "intel/indicator_key.h"
#include "intel/reserved_ranges.h"

namespace outguard::intel {

/// IPv4: a /8 is 1/256 of the internet. IPv6: /19 is the widest that registries gave to one
/// network.
inline constexpr std::uint8_t kLeastPrefixV4 = 8;
inline constexpr std::uint8_t kLeastPrefixV6 = 19;

struct LineIndicator {
  IndicatorKey key;
  DomainScope scope = DomainScope::WithSubdomains;
};

/// One word: address, network, address:port, domain (also `*.name`, `.name`) or URL. A domain means
/// itself and the names under it.
[[nodiscard]] Parsed<LineIndicator> parse_indicator(std::string_view word, ReservedPolicy policy);

using LineSink = std::function<void(Parsed<LineIndicator>)>;

/// A number after the indicator (a count, a score) is passed over; other text is a reject.
/// `sink` gets one outcome an indicator: one for most lines, one a name for a hosts line (those
/// names mean only themselves, as in hosts(5)), none for blank and comment lines. Returns false for
/// those.
bool parse_line(std::string_view line, ReservedPolicy policy, const LineSink &sink);

} // namespace outguard::intel
