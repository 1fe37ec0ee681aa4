// What a pattern of a path or a name stands for, and what only looks like it.
#include <gtest/gtest.h>

#include "policy/host_pattern.h"
#include "policy/path_pattern.h"

namespace outguard::policy {
namespace {

TEST(PathPattern, StarStaysInItsComponent) {
  EXPECT_TRUE(path_matches("/usr/bin/curl", "/usr/bin/curl"));
  EXPECT_FALSE(path_matches("/usr/bin/curl", "/usr/bin/curl2"));
  EXPECT_FALSE(path_matches("/usr/bin/curl", "/usr/bin/cur"));
  EXPECT_TRUE(path_matches("/usr/lib/*/bin/x", "/usr/lib/15/bin/x"));
  EXPECT_FALSE(path_matches("/usr/lib/*/bin/x", "/usr/lib/15/16/bin/x"));
  EXPECT_TRUE(path_matches("/*/*b*b", "/a/abbb"));
  EXPECT_FALSE(path_matches("/a*b", "/a/b"));
  EXPECT_TRUE(path_matches("*", ""));
  EXPECT_TRUE(path_matches("/opt/", "/opt/a/b"));
  EXPECT_FALSE(path_matches("/opt/", "/opt/"));
  EXPECT_FALSE(path_matches("/opt/", "/opt"));
  EXPECT_FALSE(path_matches("/opt/", "/optimal/a"));
  EXPECT_TRUE(path_matches("/*/", "/opt/a"));
  EXPECT_FALSE(path_matches("/*/", "/opt"));
  EXPECT_FALSE(path_matches("", "a"));
}

TEST(HostPattern, WildcardIsTheLeftMostLabel) {
  EXPECT_TRUE(host_matches("www.example.com", "WWW.Example.COM."));
  EXPECT_FALSE(host_matches("www.example.com", "xwww.example.com"));
  EXPECT_TRUE(host_matches("*.example.com", "a.b.example.com"));
  EXPECT_FALSE(host_matches("*.example.com", "example.com"));
  EXPECT_FALSE(host_matches("*.example.com", ".example.com"));
  EXPECT_FALSE(host_matches("*.example.com", "bad-example.com"));
  EXPECT_FALSE(host_matches("*.example.com", "a.example.com.evil.net"));
  for (const char *good : {"a", "a.b", "*.b", "xn--bcher-kva.example.", "_dmarc.example"}) {
    EXPECT_TRUE(is_host_pattern(good)) << good;
  }
  for (const char *bad :
       {"", ".", "*", "a..b", "a.*", "*a.b", "b\xc3\xbc.example", "a b", "1.2/8"}) {
    EXPECT_FALSE(is_host_pattern(bad)) << bad;
  }
}

} // namespace
} // namespace outguard::policy
