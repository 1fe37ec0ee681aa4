#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "intel/line_parser.h"

namespace outguard::intel {
namespace {

/// "domain evil.example", "reject: bad port": one entry an outcome.
std::vector<std::string> outcomes(std::string_view line,
                                  ReservedPolicy policy = ReservedPolicy::Refuse) {
  std::vector<std::string> out;
  parse_line(line, policy, [&](const Parsed<FeedIndicator> &parsed) {
    if (!parsed) {
      out.push_back(std::string("reject: ") + to_string(parsed.error()));
      return;
    }
    const auto &key = parsed->key;
    const auto exact = key.type == IndicatorType::Domain && parsed->scope == MatchScope::Exact;
    out.push_back(std::string(to_string(key.type)) + " " +
                  key_text(key.type, key.prefix, key.bytes).value_or("?") +
                  (exact ? " exact" : ""));
  });
  return out;
}

struct Case {
  std::string line;
  std::string outcome;
};

class OneLine : public testing::TestWithParam<Case> {};

TEST_P(OneLine, GivesTheOutcome) {
  EXPECT_EQ(outcomes(GetParam().line), std::vector{GetParam().outcome}) << GetParam().line;
}

const Case kAccepted[] = {
    {"8.8.4.4", "address 8.8.4.4"},
    {"  8.8.4.4\t\r", "address 8.8.4.4"},
    {"8.8.4.4.", "address 8.8.4.4"},
    {"8.8.4.4 # why", "address 8.8.4.4"},
    {"8.8.4.4\t10", "address 8.8.4.4"},
    {"8.8.4.4 // why", "address 8.8.4.4"},
    {"2606:4700:0::1111", "address 2606:4700::1111"},
    {"::ffff:8.8.4.4", "address 8.8.4.4"},
    {"45.9.20.0/24", "network 45.9.20.0/24"},
    {"45.9.20.7/32", "address 45.9.20.7"},
    {"2606:4700::/32", "network 2606:4700::/32"},
    {"::ffff:45.9.20.0/120", "network 45.9.20.0/24"},
    {"45.9.20.7:443", "endpoint 45.9.20.7:443"},
    {"[2606:4700::1]:65535", "endpoint [2606:4700::1]:65535"},
    {"Evil.SAMPLE.com.", "domain evil.sample.com"},
    {"*.evil.com", "domain evil.com"},
    {".evil.com", "domain evil.com"},
    {"evil.notexample.com", "domain evil.notexample.com"},
    {"_dmarc.evil-site.com", "domain _dmarc.evil-site.com"},
    {"\xd0\xbf\xd1\x80.com", "domain xn--o1ac.com"},
    {"*.B\xc3\x9c"
     "CHER.com",
     "domain xn--bcher-kva.com"},
    {"fa\xc3\x9f.de", "domain xn--fa-hia.de"}, // non-transitional: not fass.de
    {"evil\xe3\x80\x82"
     "com",
     "domain evil.com"},                              // an ideographic full stop
    {"_x.\xef\xbd\x85vil.com", "domain _x.evil.com"}, // full width
    {"/login/%41%42%43.php", "url-path /login/ABC.php"},
    {"/login/%%344%zz.php", "url-path /login/%2544%25zz.php"},
    {"xn--e1afmkfd.xn--p1ai", "domain xn--e1afmkfd.xn--p1ai"},
    {"HTTP://Evil.COM:80/A/b?C=d#frag", "url http://evil.com/A/b?C=d"},
    {"https://evil.com:443", "url https://evil.com/"},
    {"https://evil.com:80/", "url https://evil.com:80/"},
    {"http://evil.com?x=1", "url http://evil.com/?x=1"},
    {"http://good.com:x@Evil.com./p", "url http://evil.com/p"}, // a user name is not asked for
    {"http://evil.com:/p", "url http://evil.com/p"},
    {"http://evil.com/%7Ea/%2f%c3%A9/\xc3\xa9%", "url http://evil.com/~a/%2F%C3%A9/%C3%A9%25"},
    {"http://evil.com/a/./b/../../c/..?x=/../", "url http://evil.com/?x=/../"},
    {"http://evil.com/../../%2e%2E/a/.", "url http://evil.com/a/"},
    {"http://evil.com/..a/.b/c./...", "url http://evil.com/..a/.b/c./..."},
    {"http://\xd0\xbf\xd1\x80.com:80/", "url http://xn--o1ac.com/"},
    {"evil.com/path", "url evil.com/path"},
    {"evil.com:8080/path", "url evil.com:8080/path"},
    {"evil.com/r?u=http://good.com/", "url evil.com/r?u=http://good.com/"},
    {"http://8.8.4.4/x", "url http://8.8.4.4/x"},
    {"http://[2606:4700:0::1]:8080/x", "url http://[2606:4700::1]:8080/x"},
    {"8.8.4.4/24.html", "url 8.8.4.4/24.html"},
    {"/wp-admin/x.php", "url-path /wp-admin/x.php"},
    {"0123456789ABCDEF0123456789abcdef", "file-md5 0123456789abcdef0123456789abcdef"},
    {"0123456789abcdef0123456789abcdef01234567",
     "file-sha1 0123456789abcdef0123456789abcdef01234567"},
    {"t13d1516h2_8daaf6152771_b186095e22b6", "ja4 t13d1516h2_8daaf6152771_b186095e22b6"},
    {"0.0.0.0 evil.com", "domain evil.com exact"},
    {"127.0.0.1\tevil.com # x", "domain evil.com exact"},
};
INSTANTIATE_TEST_SUITE_P(Accepted, OneLine, testing::ValuesIn(kAccepted));

const Case kRejected[] = {
    {"1.2.3.999", "reject: malformed address"},
    {"010.1.1.1", "reject: malformed address"},
    {"2606:4700::1:443:x", "reject: malformed address"},
    {"45.9.20.7/33", "reject: bad prefix length"},
    {"2606:4700::/129", "reject: bad prefix length"},
    {"45.9.20.7/99999999999999999999", "reject: bad prefix length"},
    {"45.9.20.7/24", "reject: host bits set in network"},
    {"0.0.0.0/0", "reject: network too broad"},
    {"44.0.0.0/7", "reject: network too broad"},
    {"2000::/3", "reject: network too broad"},
    {"::ffff:45.0.0.0/95", "reject: network too broad"},
    {"45.9.20.7:0", "reject: bad port"},
    {"45.9.20.7:65536", "reject: bad port"},
    {"45.9.20.7:", "reject: bad port"},
    {"evil.com:443", "reject: port after a domain name"},
    {"com", "reject: single-label name"},
    {"*.com", "reject: single-label name"},
    {"localhost", "reject: single-label name"},
    {"ev il.com", "reject: text after the indicator"},
    {"8.8.4.4 evil.com", "reject: text after the indicator"},
    {"evil..com", "reject: bad label in name"},
    {"ev!l.com", "reject: bad label in name"},
    {"*", "reject: bad label in name"},
    {".", "reject: bad label in name"},
    {std::string(64, 'a') + ".com", "reject: bad label in name"},
    {"\xff\xfe.com", "reject: malformed international name"},
    {"\xe2\x98\x95.com", "reject: malformed international name"}, // an emoji: not in IDNA2008
    {"\xe2\x84\x80.com", "reject: bad label in name"},            // U+2100 maps to "a/c"
    {"ftp://evil.com/x", "reject: unsupported URL scheme"},
    {"http://a@b@evil.com/", "reject: ambiguous user name in URL"},
    {"http://good.com\\@evil.com/", "reject: ambiguous user name in URL"},
    {"http://user@/", "reject: ambiguous user name in URL"},
    {"http://user@10.1.1.1/", "reject: private range"},
    {"http://evil.com:99999/", "reject: bad port"},
    {"http:///path", "reject: not an address, network, domain or URL"},
    {"/a.php", "reject: path too short to mean anything on every host"},
    {"D41D8CD98F00B204E9800998ECF8427E", "reject: hash of empty data"},
    {"t13d1516x2_8daaf6152771_b186095e22bg", "reject: single-label name"},
    {"8.8.4.4 10 x", "reject: text after the indicator"},
    {"http://2606:4700::1/", "reject: bad port"},
    {"http://[8.8.4.4]/", "reject: malformed address"},
    {"http://evil.com/" + std::string(700, '\xe9'), "reject: URL too long"}, // escaped
    {"http://evil.com/" + std::string(2048, 'a'), "reject: URL too long"},
    {std::string("evil.com\0x", 10), "reject: control character"},
    {"evil\x1b[31m.com", "reject: control character"},
    {"127.0.0.1", "reject: reserved range"},
    {"169.254.169.254", "reject: reserved range"},
    {"224.0.0.251", "reject: reserved range"},
    {"255.255.255.255", "reject: reserved range"},
    {"fe80::1", "reject: reserved range"},
    {"::1", "reject: reserved range"},
    {"10.10.1.1", "reject: private range"},
    {"172.31.0.0/16", "reject: private range"},
    {"fd00::1", "reject: private range"},
    {"http://192.168.1.1/x", "reject: private range"},
    {"10.1.1.1:80", "reject: private range"},
    {"localhost.localdomain", "reject: special-use name"},
    {"7.1.168.192.in-addr.arpa", "reject: special-use name"},
    {"printer.local", "reject: special-use name"},
    {"evil.example", "reject: special-use name"},
    {"www.example.com", "reject: special-use name"},
    {"http://a.test/x", "reject: special-use name"},
    {"192.0.2.1", "reject: documentation range"},
    {"2001:db8::1", "reject: documentation range"},
    {"203.0.0.0/16", "reject: documentation range"}, // touches 203.0.113.0/24
};
INSTANTIATE_TEST_SUITE_P(Rejected, OneLine, testing::ValuesIn(kRejected));

TEST(LineParser, LongNamesAreRejected) {
  std::string name;
  for (int i = 0; i < 64; ++i) {
    name += "abc.";
  }
  EXPECT_EQ(outcomes(name + "com"), std::vector<std::string>{"reject: name too long"});
}

TEST(LineParser, CommentsAndBlanksSayNothing) {
  for (const auto *line : {"", "  \t\r", "# x", " ; x", "//evil.com", "#\x01"}) {
    EXPECT_FALSE(parse_line(line, ReservedPolicy::Refuse, [](const auto &) {
      ADD_FAILURE() << "a comment gave an outcome";
    })) << line;
  }
}

TEST(LineParser, AHashInsideAWordIsNoComment) {
  EXPECT_EQ(outcomes("http://evil.com/a#b"), std::vector<std::string>{"url http://evil.com/a"});
}

TEST(LineParser, AHostsLineGivesEveryName) {
  EXPECT_EQ(outcomes("0.0.0.0 a.com localhost b.com"),
            (std::vector<std::string>{"domain a.com exact", "reject: single-label name",
                                      "domain b.com exact"}));
}

TEST(LineParser, AllowReservedLiftsPrivateAndDocumentationOnly) {
  const auto outcome = [](std::string_view line) {
    return outcomes(line, ReservedPolicy::Allow).at(0);
  };
  EXPECT_EQ(outcome("10.1.2.3"), "address 10.1.2.3");
  EXPECT_EQ(outcome("198.51.100.0/24"), "network 198.51.100.0/24");
  EXPECT_EQ(outcome("2001:db8::7"), "address 2001:db8::7");
  EXPECT_EQ(outcome("evil.example"), "domain evil.example");
  EXPECT_EQ(outcome("http://a.test/x"), "url http://a.test/x");
  EXPECT_EQ(outcome("localhost.localdomain"), "reject: special-use name");
  EXPECT_EQ(outcome("127.0.0.1"), "reject: reserved range");
  EXPECT_EQ(outcome("224.0.0.1"), "reject: reserved range");
  EXPECT_EQ(outcome("10.0.0.0/7"), "reject: network too broad");
}

} // namespace
} // namespace outguard::intel
