#pragma once
// What one line of a plain list or hosts file says. Pure functions; no exceptions.

#include <functional>
#include <string_view>

#include "intel/indicator_value.h"

namespace outguard::intel {

using LineSink = std::function<void(Parsed<FeedIndicator> &&)>;

/// A number after the indicator (a count, a score) is passed over; other text is a reject.
/// `sink` gets one outcome an indicator: one for most lines, one a name for a hosts line (those
/// names mean only themselves, as in hosts(5)), none for blank and comment lines. Returns false for
/// those.
bool parse_line(std::string_view line, ReservedPolicy policy, const LineSink &sink);

} // namespace outguard::intel
