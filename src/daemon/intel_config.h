#pragma once
// What intelligence the operator wants to be in force. Plain data, immutable after start.

#include <string>
#include <vector>

#include "launch/feed_source.h"
#include "launch/intel_compiler_process.h"
#include "launch/shrink_guard.h"

namespace outguard::daemon {

/// A feed that is fetched over the network, and how its last good copy is read.
struct IntelFeed {
  std::string name; ///< for people, and as the source of its indicators; unique
  launch::FeedSource source;
  std::string format; ///< empty: detected
  bool allow_reserved = false;
};

struct IntelConfig {
  std::vector<launch::FeedChoice> files; ///< also allowlists and warninglists
  std::vector<IntelFeed> feeds;
  std::string changes = "/var/lib/outguard/intel"; ///< folder of `added` and `removed`
  std::string cache = "/var/lib/outguard/feeds";   ///< folder of the last good copies of `feeds`
  unsigned most_lost_percent = launch::kMostLostPercent; ///< of a source's entries, at once
};

} // namespace outguard::daemon
