#pragma once
// A MISP feed: manifest.json names events and when each last changed; only those that the last good
// copy does not have are fetched, those that the manifest no longer names go.

#include "fetch/feed_fetch.h"

namespace outguard::fetch {

void fetch_misp(const FetchJob &job);

} // namespace outguard::fetch
