#pragma once
// The value of an indicator as feeds write it -> its canonical form. Pure functions; no exceptions.

#include <string_view>

#include "intel/feed_indicator.h"
#include "intel/reject_reason.h"
#include "intel/reserved_ranges.h"

namespace outguard::intel {

/// IPv4: a /8 is 1/256 of the internet. IPv6: /19 is the widest that registries gave to one
/// network.
inline constexpr std::uint8_t kLeastPrefixV4 = 8;
inline constexpr std::uint8_t kLeastPrefixV6 = 19;
/// A path matches on every host: "/login" would accuse half of the web. What is long enough is
/// still weak evidence.
inline constexpr std::size_t kLeastPathBytes = 8;
inline constexpr std::uint8_t kPathConfidence = 30;

/// One word of a list: address, network, address:port, domain (also `*.name`, `.name`), URL, path,
/// digest of a file, or JA4. A domain means itself and the names under it; a URL or path that ends
/// with "/*" all that begins with what stands before the star.
[[nodiscard]] Parsed<FeedIndicator> parse_indicator(std::string_view word, ReservedPolicy policy);

/// The same where the feed says what it is; TypeMismatch when it is something else. Address also
/// takes a network, as feeds do.
[[nodiscard]] Parsed<FeedIndicator> parse_value(IndicatorType type, std::string_view text,
                                                ReservedPolicy policy);

} // namespace outguard::intel
