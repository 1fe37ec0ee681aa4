#pragma once
// Fetches one feed in a sandboxed process of its own. Its bytes land in a sealed memfd and are not
// looked at here. Any thread; waits for the answer.

#include <stop_token>

#include "base/fd.h"
#include "base/result.h"
#include "facts/feed_fetch.h"

namespace outguard::launch {

struct FetchedFeed {
  FeedFetched answer;
  Fd body; ///< sealed; empty unless the answer is New
};

/// `previous`, the last good copy, may be empty. An error only when the fetching itself did not
/// work; what a server did wrong is in the answer. `stop` ends it within a fraction of a second.
[[nodiscard]] Result<FetchedFeed> fetch_feed(const FetchFeed &request, const Fd &previous,
                                             const std::stop_token &stop = {});

} // namespace outguard::launch
