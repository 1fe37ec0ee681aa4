#pragma once
// A TAXII 2.1 collection (OASIS, section 5.4): its pages joined into one envelope, old objects
// first. Ends by name when a server pages in circles or without end. Which version of an object
// counts is the parser's to say.

#include "fetch/feed_fetch.h"

namespace outguard::fetch {

void fetch_taxii(const FetchJob &job);

} // namespace outguard::fetch
