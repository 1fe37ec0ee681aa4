#pragma once
// A user's own list of what is never to be told: `VALUE [until=YYYY-MM-DD] [# comment]` a line. An
// address, network, domain (with the names under it), URL or any other value that an indicator can
// have. Pure function but for its sink.

#include <cstdint>
#include <span>
#include <string>

#include "facts/intel_report.h"
#include "intel/feed_indicator.h"

namespace outguard::intel {

/// Entries go to `sink`, which stores them as Role::Allowed; the comment is their description. An
/// entry is good through the whole day it names (UTC); one that is over at `now` (seconds since the
/// epoch) is told as "expired" and has no effect. Private and documentation ranges are good values;
/// a public suffix is one only as `*.NAME`, which nobody writes by mistake.
[[nodiscard]] FeedReport parse_allowlist(const std::string &name,
                                         std::span<const std::uint8_t> bytes, std::int64_t now,
                                         const FeedSink &sink);

} // namespace outguard::intel
