#pragma once
// A whole plain list or hosts file, given as bytes: splits lines, counts, and reports what it
// rejects. The kind of each line is found line by line, so files may mix them.

#include <functional>
#include <span>
#include <string>

#include "facts/intel_report.h"
#include "intel/line_parser.h"

namespace outguard::intel {

inline constexpr std::size_t kMaxLineBytes = 4096;      ///< twice the longest URL
inline constexpr std::size_t kMaxRejectTextBytes = 120; ///< of a rejected line, shown in the report

enum class Taken : std::uint8_t { Accepted, Duplicate, Full };
/// Stores an indicator and says what became of it. Lines count from 1.
using IndicatorSink = std::function<Taken(const LineIndicator &, std::uint32_t line)>;

/// Every indicator goes to `sink`. The report's `problem` is set when the file is no list at all:
/// empty, binary, or without one accepted line.
[[nodiscard]] FeedReport parse_list(const std::string &name, std::span<const std::uint8_t> bytes,
                                    ReservedPolicy policy, const IndicatorSink &sink);

} // namespace outguard::intel
