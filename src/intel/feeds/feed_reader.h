#pragma once
// A feed's bytes, of any format, packed or not -> indicators and reports. The one entry to this
// folder. Does no file access; one thread; no exceptions.

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "facts/intel_report.h"
#include "intel/feed_indicator.h"
#include "intel/feeds/feed_format.h"
#include "intel/reserved_ranges.h"

namespace outguard::intel {

struct FeedOptions {
  ReservedPolicy reserved = ReservedPolicy::Refuse;
  std::optional<FeedFormat> format; ///< empty: detected
};

/// Where the indicators of the feed of that name go; nullopt: no more feeds are taken.
using SinkOf = std::function<std::optional<FeedSink>(const std::string &name)>;

/// One report a feed; an archive of several files is as many feeds, named "archive/file".
/// Indicators are taken also of a feed whose report has a problem, if there were any.
[[nodiscard]] std::vector<FeedReport> read_feed(const std::string &name,
                                                std::span<const std::uint8_t> bytes,
                                                const FeedOptions &options, const SinkOf &sink_of);

} // namespace outguard::intel
