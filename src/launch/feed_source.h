#pragma once
// A feed as it is configured, and the one way to bring its last good copy up to date. Plain data
// and functions; any thread.

#include <chrono>
#include <stop_token>
#include <string>

#include "launch/feed_cache.h"

namespace outguard::launch {

struct FeedSource {
  std::string url;
  FeedKind kind = FeedKind::File;
  std::chrono::seconds interval{3600};
  std::string key_file;     ///< see key_file.h; empty: none
  std::string key_variable; ///< of the environment, instead of a file
  std::string ca_file;      ///< PEM, trusted instead of the host's authorities
  std::string proxy;
};

/// Reads keys and certificates anew, so that a changed file counts at once.
[[nodiscard]] Result<FetchFeed> request_of(const FeedSource &source);

struct RefreshedFeed {
  FetchedFeed fetched;
  std::string path; ///< of the last good copy; empty: there is none
};
/// Tells the server what we have, fetches what is new, keeps it.
[[nodiscard]] Result<RefreshedFeed> refresh(FetchFeed request, FeedCache &cache,
                                            const std::stop_token &stop = {});

} // namespace outguard::launch
