#include <random>

#include "intel/index_testing.h"

namespace outguard::intel {
namespace {

TEST(IndexMatching, UrlPrefixesMeanWhateverBeginsWithThem) {
  Index index;
  for (const auto *prefix :
       {"http://evil.com/a/", "evil.com/a/b?id=", "evil.com/", "x.org/deep/"}) {
    index.add(indicator(IndicatorType::Url, prefix, MatchScope::Prefix));
  }
  index.add(indicator(IndicatorType::Url, "exact.com/only"));
  EXPECT_EQ(index.url("http://evil.com/a/b?id=7"),
            (Values{"http://evil.com/a/", "evil.com/a/b?id=", "evil.com/"}));
  EXPECT_EQ(index.url("https://evil.com/a/c"), Values{"evil.com/"});
  EXPECT_EQ(index.url("http://evil.com/a/"), (Values{"http://evil.com/a/", "evil.com/"}));
  EXPECT_EQ(index.url("http://evil.com"), Values{"evil.com/"});
  EXPECT_EQ(index.url("http://evil.com:8080/a/"), Values{});
  EXPECT_EQ(index.url("http://evil.com.org/a/"), Values{});
  EXPECT_EQ(index.url("http://x.org/deep"), Values{});
  EXPECT_EQ(index.url("http://x.org/deep/" + std::string(2000, 'a')), Values{"x.org/deep/"});
  EXPECT_EQ(index.url("http://exact.com/only"), Values{"exact.com/only"});
  EXPECT_EQ(index.url("http://exact.com/only/more"), Values{});
}

TEST(IndexMatching, ANarrowMentionOfAPrefixMatchesItselfOnly) {
  Index index;
  index.add(indicator(IndicatorType::Url, "evil.com/a/"));
  index.add(indicator(IndicatorType::Url, "evil.com/a/b/", MatchScope::Prefix));
  EXPECT_EQ(index.url("evil.com/a/b/c"), Values{"evil.com/a/b/"});
}

TEST(IndexMatching, PathsMatchOnAnyHost) {
  Index index;
  index.add(indicator(IndicatorType::UrlPath, "/gate/index.php?id=1"));
  index.add(indicator(IndicatorType::UrlPath, "/panel/", MatchScope::Prefix));
  EXPECT_EQ(index.url("http://a.com/gate/index.php?id=1"), Values{"/gate/index.php?id=1"});
  EXPECT_EQ(index.url("45.9.20.7:99/gate/index.php?id=1"), Values{"/gate/index.php?id=1"});
  EXPECT_EQ(index.url("http://a.com/gate/index.php?id=11"), Values{});
  EXPECT_EQ(index.url("http://a.com/x/gate/index.php?id=1"), Values{});
  EXPECT_EQ(index.url("http://a.com/panel/login"), Values{"/panel/"});
}

TEST(IndexMatching, WhatAClientAppendsHidesNoPrefixAndNoHostHidesAPath) {
  Index index;
  index.add(indicator(IndicatorType::Url, "http://evil.com/kit/", MatchScope::Prefix));
  index.add(indicator(IndicatorType::Url, "http://evil.com/a%20b"));
  index.add(indicator(IndicatorType::UrlPath, "/gate.php"));
  const Values kit{"http://evil.com/kit/"};
  EXPECT_EQ(index.url("http://evil.com/kit/?" + std::string(5000, 'a')), kit);
  EXPECT_EQ(index.url("http://evil.com/kit/a b\tc"), kit);
  EXPECT_EQ(index.url("http://evil.com/a b"), Values{"http://evil.com/a%20b"});
  EXPECT_EQ(index.url("http://evil.com/a  b"), Values{});
  for (const auto host : {"http://localhost", "http://a\\032b", "localhost", "http://a@b@c"}) {
    EXPECT_EQ(index.url(std::string(host) + "/x/../gate.php"), Values{"/gate.php"}) << host;
    EXPECT_EQ(index.url(std::string(host) + "/gate.php5"), Values{}) << host;
  }
  EXPECT_EQ(index.url("/gate.php"), Values{"/gate.php"});
  EXPECT_EQ(index.url("http://localhost"), Values{});
}

// ---- Fingerprints -----------------------------------------------------------------------

TEST(IndexMatching, FingerprintsAndHashesKeepTheirTypesApart) {
  const std::string md5 = "00112233445566778899aabbccddeeff";
  const std::string sha1 = md5 + "01234567", sha256 = md5 + md5;
  const std::string ja4 = "t13d1516h2_8daaf6152771_b186095e22b6";
  Index index;
  index.add(indicator(IndicatorType::Ja3, md5));
  index.add(indicator(IndicatorType::CertificateSha1, sha1));
  index.add(indicator(IndicatorType::FileSha256, sha256));
  index.add(indicator(IndicatorType::Ja4, ja4));
  EXPECT_EQ(index.fingerprint(IndicatorType::Ja3, md5), Values{md5});
  EXPECT_EQ(index.fingerprint(IndicatorType::Ja3, "00112233445566778899AABBCCDDEEFF"), Values{md5});
  EXPECT_EQ(index.fingerprint(IndicatorType::Hassh, md5), Values{});
  EXPECT_EQ(index.fingerprint(IndicatorType::FileMd5, md5), Values{});
  EXPECT_EQ(index.fingerprint(IndicatorType::CertificateSha1, sha1), Values{sha1});
  EXPECT_EQ(index.fingerprint(IndicatorType::FileSha1, sha1), Values{});
  EXPECT_EQ(index.fingerprint(IndicatorType::FileSha256, sha256), Values{sha256});
  EXPECT_EQ(index.fingerprint(IndicatorType::CertificateSha256, sha256), Values{});
  EXPECT_EQ(index.fingerprint(IndicatorType::Ja4, ja4), Values{ja4});
  EXPECT_EQ(index.fingerprint(IndicatorType::Ja3, "no digest"), Values{});
  EXPECT_EQ(index.fingerprint(IndicatorType::Ja3, ""), Values{});
}

// ---- Networks, with and without the table of each /16 ------------------------------------

/// All networks against the plain question whether they contain the address.
TEST(IndexMatching, NetworksAgreeWithArithmetic) {
  std::mt19937 random(3); // NOLINT(cert-msc51-cpp): the same test each time
  for (const std::size_t count : {std::size_t{10}, kLengthsManyFrom - 1, std::size_t{300}}) {
    Index index;
    std::vector<IpNetwork> listed;
    while (listed.size() < count) {
      IpAddress address;
      const auto raw = static_cast<std::uint32_t>(random());
      std::memcpy(address.bytes.data(), &raw, sizeof raw);
      const auto prefix = static_cast<std::uint8_t>(1 + random() % 31);
      const IpNetwork one{masked(address, prefix), prefix};
      if (std::find(listed.begin(), listed.end(), one) == listed.end()) {
        listed.push_back(one);
        ASSERT_EQ(index.add({IndicatorKey::network(one), {}, 0, 0, {}}), Added::New);
      }
    }
    const auto &image = index.image();
    for (int i = 0; i < 3000; ++i) {
      IpAddress address = listed[random() % listed.size()].address;
      address.bytes[random() % 4] = static_cast<std::uint8_t>(random());
      const auto around = std::count_if(listed.begin(), listed.end(),
                                        [&](const auto &one) { return one.contains(address); });
      std::ptrdiff_t told = 0;
      image.match_address(address, kNow, [&](auto) { ++told; });
      ASSERT_EQ(told, around) << address.to_string();
    }
  }
}

TEST(IndexMatching, NetworksOfIpv6HaveAnyLength) {
  Index index;
  for (const auto prefix : std::vector<std::uint8_t>{19, 32, 63, 64, 65, 127}) {
    index.add(network("2600::", prefix));
  }
  EXPECT_EQ(index.address("2600::1"), (Values{"2600::/127", "2600::/65", "2600::/64", "2600::/63",
                                              "2600::/32", "2600::/19"}));
  EXPECT_EQ(index.address("2600:0:0:1::"), (Values{"2600::/63", "2600::/32", "2600::/19"}));
}

// ---- Allowlists -------------------------------------------------------------------------

} // namespace
} // namespace outguard::intel
