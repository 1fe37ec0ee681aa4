#pragma once
// The row of `outguard intel fetch -o json`. Pure function, any thread.

#include <string>

#include "facts/feed_fetch.h"

namespace outguard::store {

/// `file`: where the feed now stands; empty: nowhere.
[[nodiscard]] std::string fetch_json(const std::string &shown_url, FeedKind kind,
                                     const FeedFetched &fetched, const std::string &file);

} // namespace outguard::store
