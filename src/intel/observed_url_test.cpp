// A URL that is taken as it stands says what the long way says.
#include <random>

#include <gtest/gtest.h>

#include "intel/observed_url.h"
#include "intel/url.h"

namespace outguard::intel {
namespace {

/// True: as it stands.
bool expect_as_parsed(const std::string &text) {
  const ObservedUrl observed(text);
  const auto url = Url::parse(text, UrlOrigin::Observed);
  EXPECT_EQ(observed.whole()[0], url && !url->scheme.empty() ? url->to_string() : "") << text;
  EXPECT_EQ(observed.whole()[1], url ? url->without_scheme() : "") << text;
  EXPECT_EQ(observed.target(), url ? url->target : observed_target(text)) << text;
  return observed.whole()[0].data() == text.data();
}

TEST(ObservedUrl, MostAreTakenAsTheyStand) {
  for (const char *text :
       {"http://evil.example/", "https://a-b._c.evil.example/a/b.php?id=1&x=/../.", "http://a.b3/.",
        "http://1.2.3.4a/x", "http://e.example/a//b"}) {
    EXPECT_EQ(expect_as_parsed(text), std::string(text).find("/.") == std::string::npos) << text;
  }
}

TEST(ObservedUrl, TheOthersAreMade) {
  const std::string label(63, 'a');
  const auto long_host = label + '.' + label + '.' + label + '.';
  for (const auto &text : {
           std::string("http://Evil.example/"),
           std::string("HTTP://evil.example/"),
           std::string("ftp://evil.example/"),
           std::string("http://evil.example"),
           std::string("http://evil.example?q"),
           std::string("http://evil.example:80/"),
           std::string("http://evil.example:8080/x"),
           std::string("http://u@evil.example/"),
           std::string("http://evil.example./"),
           std::string("http://evil..example/"),
           std::string("http://.example/"),
           std::string("http:///x"),
           std::string("http://localhost/x"),
           std::string("http://1.2.3.4/x"),
           std::string("http://0x7f.1/x"),
           std::string("http://1.2.3/x"),
           std::string("http://a.-_1/x"),
           std::string("http://[2606:4700::1]/x"),
           std::string("http://evil.example/%41"),
           std::string("http://evil.example/100%"),
           std::string("http://evil.example/a b"),
           std::string("http://evil.example/\x7f"),
           std::string("http://evil.example/\xff"),
           std::string("http://evil.example/a#b"),
           std::string("http://evil.example/a/../b"),
           std::string("http://evil.example/a/./b"),
           std::string("evil.example/x"),
           std::string("http://").append(label).append("a.example/"),
           std::string("http://").append(long_host).append(label).append("/"),
           "http://evil.example/" + std::string(kMaxObservedUrlBytes, 'x'),
           std::string(),
       }) {
    EXPECT_FALSE(expect_as_parsed(text)) << text;
  }
  const auto longest = "http://" + long_host + label.substr(2) + "/";
  EXPECT_TRUE(expect_as_parsed(longest)) << "253 bytes of host";
}

TEST(ObservedUrl, WhateverBytesAreMixed) {
  std::mt19937 random(1); // NOLINT(cert-msc51-cpp): the same each time
  constexpr std::string_view kParts[] = {
      "http://", "https://", "evil", "example", "1", ".", "/", "?", "#", "%",
      "%2e",     "..",       ":",    "80",      "@", "-", "_", "A", " ", "\x80"};
  std::size_t as_they_stand = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string text(random() % 4 != 0 ? "http://evil.ex" : "");
    for (auto left = random() % 8; left > 0; --left) {
      text += kParts[random() % std::size(kParts)];
    }
    as_they_stand += expect_as_parsed(text) ? 1U : 0U;
  }
  EXPECT_GT(as_they_stand, 500U);
}

} // namespace
} // namespace outguard::intel
