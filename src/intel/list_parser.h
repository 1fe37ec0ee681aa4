#pragma once
// A whole plain list or hosts file, given as bytes: splits lines, counts, and reports what it
// rejects. The kind of each line is found line by line, so files may mix them.

#include <span>
#include <string>

#include "facts/intel_report.h"
#include "intel/feed_indicator.h"
#include "intel/line_parser.h"

namespace outguard::intel {

inline constexpr std::size_t kMaxLineBytes = 4096; ///< twice the longest URL

/// Every indicator goes to `sink`. The report's `problem` is set when the file is no list at all:
/// empty, binary, or without one accepted line.
[[nodiscard]] FeedReport parse_list(const std::string &name, std::span<const std::uint8_t> bytes,
                                    ReservedPolicy policy, const FeedSink &sink);

} // namespace outguard::intel
