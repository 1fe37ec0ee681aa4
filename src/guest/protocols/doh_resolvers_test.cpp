#include <gtest/gtest.h>

#include "guest/protocols/doh_resolvers.h"

namespace outguard::guest {
namespace {

TEST(DohResolvers, ListedNamesAndThoseBelow) {
  for (const char *host : {"dns.google", "mozilla.cloudflare-dns.com", "abc123.dns.nextdns.io",
                           "wikimedia-dns.org", "anycast.dns.nextdns.io"}) {
    EXPECT_TRUE(is_doh_resolver(host)) << host;
  }
  for (const char *host : {"google", "cloudflare.com", "notdns.google", "com", "", ".", "a..b",
                           "dns.google.example"}) {
    EXPECT_FALSE(is_doh_resolver(host)) << host;
  }
}

} // namespace
} // namespace outguard::guest
