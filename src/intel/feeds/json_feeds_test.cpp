// MISP, STIX and TAXII documents, from a whole feed's bytes to indicators and counts.
#include <gtest/gtest.h>

#include "intel/feeds/feeds_testing.h"
#include "intel/feeds/json_fault.h"
#include "intel/feeds/stix_pattern.h"

namespace outguard::intel {
namespace {

using Words = std::vector<std::string>;
using Counts = std::map<std::string, std::uint64_t>;

const std::string kMd5 = "0123456789abcdef0123456789abcdef";
const std::string kSha1 = kMd5 + "01234567";
const std::string kSha256 = kMd5 + kMd5;

std::string attribute(const std::string &type, const std::string &value,
                      const std::string &more = "") {
  return R"({"type":")" + type + R"(","value":")" + value + R"(","to_ids":true)" + more + "}";
}

TEST(MispFeed, EveryType) {
  std::string list;
  for (const auto &one :
       {attribute("ip-src", "45.9.20.7"), attribute("ip-dst|port", "45.9.20.7|443"),
        attribute("ip-dst|port", "2606:4700::1|443"), attribute("domain", "Evil.com"),
        attribute("hostname", "a.evil.com"), attribute("domain|ip", "b.evil.com|45.9.20.8"),
        attribute("url", "http://evil.com/x"), attribute("md5", kMd5), attribute("sha1", kSha1),
        attribute("filename|sha256", "a|b.exe|" + kSha256), attribute("ja3-fingerprint-md5", kMd5),
        attribute("x509-fingerprint-sha1", kSha1)}) {
    list += (list.empty() ? "" : ",") + one;
  }
  const ReadFeed feed("event.json", R"({"response":[{"Event":{"Attribute":[)" + list + "]}}]}");
  EXPECT_EQ(feed.report().format, "misp");
  EXPECT_EQ(
      feed.indicators,
      (Words{"address 45.9.20.7", "endpoint 45.9.20.7:443", "endpoint [2606:4700::1]:443",
             "domain evil.com", "domain a.evil.com exact", "domain b.evil.com", "address 45.9.20.8",
             "url http://evil.com/x", "file-md5 " + kMd5, "file-sha1 " + kSha1,
             "file-sha256 " + kSha256, "ja3 " + kMd5, "certificate-sha1 " + kSha1}));
  EXPECT_EQ(feed.report().rejected, 0U);
}

TEST(MispFeed, WhatIsSaidOfThem) {
  const ReadFeed feed(
      "event.json",
      R"({"Event":{"Object":[{"Attribute":[)" +
          attribute("domain", "evil.com",
                    R"(,"uuid":"u-1","comment":"c2","first_seen":"2024-01-02T00:00:00Z",
                                       "Tag":[{"name":"tlp:amber+strict"},{"name":"apt"}])") +
          R"(]},{"deleted":"1","Attribute":[)" + attribute("domain", "gone.com") +
          R"(]}],"Tag":[{"name":"tlp:green"},{"name":"apt"},{"name":"x"}],
                          "threat_level_id":"1","date":"2024-01-01","info":"campaign"}})");
  ASSERT_EQ(feed.indicators, Words{"domain evil.com"});
  const auto &about = feed.whole.at(0).about;
  EXPECT_EQ(about.id, "u-1");
  EXPECT_EQ(about.description, "c2");
  EXPECT_EQ(about.tags, (Words{"apt", "x"}));
  EXPECT_EQ(about.tlp, Tlp::AmberStrict);
  EXPECT_EQ(about.severity, 1);
  EXPECT_EQ(about.first_seen, 1704153600);
  EXPECT_EQ(feed.ignored(), (Counts{{"deleted", 1}}));
}

TEST(MispFeed, WhatIsPassedOver) {
  const ReadFeed feed(
      "event.json", R"([{"Event":{"Attribute":[{"type":"domain","value":"a.com","to_ids":false},)" +
                        attribute("domain", "b.com", R"(,"deleted":true)") + "," +
                        attribute("email-src", "a@b.com") + "," + attribute("mutex", "x") + "," +
                        attribute("ip-dst", "evil.com") + "," + attribute("md5", "abc") + "," +
                        attribute("domain|ip", "c.evil.com") + "]}}]");
  EXPECT_EQ(feed.indicators, Words{"domain c.evil.com"});
  EXPECT_EQ(feed.ignored(), (Counts{{"not for detection (to_ids)", 1},
                                    {"deleted", 1},
                                    {"e-mail address", 1},
                                    {"attribute of type mutex", 1}}));
  EXPECT_EQ(
      feed.reasons(),
      (Counts{{"value is not of the type stated", 1}, {"malformed hash", 1}, {"no value", 1}}));
  EXPECT_EQ(feed.report().lines.at(0).line, 5U);
}

TEST(MispFeed, IndexAndWarningListAreNoFeeds) {
  const ReadFeed manifest(
      "manifest.json", R"({"5f2b0c1a-0000-4000-8000-00000000000a":{"info":"x","timestamp":"1"}})");
  EXPECT_EQ(manifest.report().format, "misp-manifest");
  EXPECT_EQ(manifest.report().problem, "");
  const ReadFeed warnings("list.json", R"({"list":["8.8.8.8"],"matching_attributes":["ip-dst"]})");
  EXPECT_TRUE(warnings.indicators.empty());
  EXPECT_NE(warnings.report().problem, "");
}

std::string indicator(const std::string &pattern, const std::string &more = "") {
  return R"({"type":"indicator","pattern":")" + pattern + R"(")" + more + "}";
}
std::string bundle(const std::string &objects) {
  return R"({"type":"bundle","objects":[)" + objects + "]}";
}
Words from_pattern(const std::string &pattern) {
  return ReadFeed("b.json", bundle(indicator(pattern))).indicators;
}

TEST(StixFeed, PatternsThatOneObservableDecides) {
  EXPECT_EQ(from_pattern("[ipv4-addr:value = '45.9.20.0/24']"), Words{"network 45.9.20.0/24"});
  EXPECT_EQ(from_pattern("[ipv4-addr:value ISSUBSET '45.9.20.0/24']"),
            Words{"network 45.9.20.0/24"});
  EXPECT_EQ(from_pattern("[domain-name:value='evil.com' OR url:value = 'http://evil.com/x']"),
            (Words{"domain evil.com exact", "url http://evil.com/x"}));
  EXPECT_EQ(from_pattern("[ipv6-addr:value = '2606:4700::1'] OR ([domain-name:value = 'e.com'])"),
            (Words{"address 2606:4700::1", "domain e.com exact"}));
  EXPECT_EQ(from_pattern("[file:hashes.'SHA-256' = '" + kSha256 + "' OR file:hashes.sha256 = '" +
                         kSha256 + "' OR file:hashes.MD5 = '" + kMd5 + "']"),
            (Words{"file-sha256 " + kSha256, "file-sha256 " + kSha256, "file-md5 " + kMd5}));
  EXPECT_EQ(from_pattern("[x509-certificate:hashes.'SHA-1' = '" + kSha1 + "']"),
            Words{"certificate-sha1 " + kSha1});
  EXPECT_EQ(from_pattern("[network-traffic:dst_ref.type = 'ipv4-addr' AND "
                         "network-traffic:dst_ref.value = '45.9.20.7/32' AND "
                         "network-traffic:dst_port IN (443, 8443)]"),
            (Words{"endpoint 45.9.20.7:443", "endpoint 45.9.20.7:8443"}));
  EXPECT_EQ(from_pattern("[domain-name:value IN ('a.com', 'b.com')]"),
            (Words{"domain a.com exact", "domain b.com exact"}));
  EXPECT_EQ(from_pattern(R"([url:value = 'http://evil.com/it\\'s'])"),
            Words{"url http://evil.com/it's"});
}

TEST(StixFeed, PatternsThatItDoesNot) {
  const std::pair<const char *, const char *> cases[] = {
      {"[domain-name:value = 'a.com'] AND [domain-name:value = 'b.com']",
       "pattern with AND of observations"},
      {"[domain-name:value = 'a.com'] FOLLOWEDBY [domain-name:value = 'b.com']",
       "pattern with FOLLOWEDBY"},
      {"[domain-name:value = 'a.com'] REPEATS 5 TIMES WITHIN 10 SECONDS",
       "pattern with a qualifier"},
      {"[domain-name:value MATCHES '^a']", "pattern with MATCHES"},
      {"[domain-name:value NOT = 'a.com']", "pattern with NOT"},
      {"[domain-name:value != 'a.com']", "pattern with !="},
      {"[domain-name:value = 'a.com' AND file:name = 'b']", "pattern with AND"},
      {"[network-traffic:dst_ref.value = '45.9.20.7' AND network-traffic:src_port = 1]",
       "pattern with AND"},
      // the port is the guest's own, not that of the address
      {"[network-traffic:src_ref.value = '45.9.20.7' AND network-traffic:dst_port = 22]",
       "pattern with AND"},
      {"[email-addr:value = 'a@b.com']", "e-mail address"},
      {"[file:name = 'a']", "pattern on file:name"},
      {"[file:size = 5]", "pattern on file:size"},
  };
  for (const auto &[pattern, kind] : cases) {
    const ReadFeed feed("b.json", bundle(indicator(pattern)));
    EXPECT_TRUE(feed.indicators.empty()) << pattern;
    EXPECT_EQ(feed.report().rejected, 0U) << pattern;
    EXPECT_EQ(feed.ignored().count(kind), 1U) << pattern;
  }
}

TEST(StixFeed, MalformedPatterns) {
  for (const auto *pattern :
       {"file:size = 1280", "[file:size = ]",
        "[file:hashes.MD5 = cead3f77f6cda6ec00f57d76c9a6879f]", "[file.size = 1280]",
        "[file:name MATCHES /x/]", "[a:b = 1] WITHIN ]", "[a:b = 1] WITHIN 5 HOURS]",
        "[a:b = 1] WITHIN -5 SECONDS", "[a:b =? 'x']", "[a:b = t'2457-73-22T32:81:84.1Z']",
        "[a:b = b'====']", "[a:b = 1] within 2 seconds",
        "[a:b = 1] WITHIN 5 SECONDS WITHIN 6 SECONDS", "[a:b = 1", "[a:b = 'x]", "", "[]",
        "[a:b = 1] OR"}) {
    const auto parsed = parse_stix_pattern(pattern);
    ASSERT_FALSE(parsed) << pattern;
    EXPECT_EQ(parsed.error(), RejectReason::BadPattern) << pattern;
  }
  EXPECT_EQ(ReadFeed("b.json", bundle(indicator("[a:b = ]"))).reasons(),
            (Counts{{"malformed STIX pattern", 1}}));
}

TEST(StixFeed, PatternsAreCapped) {
  const std::string deep = std::string(100000, '(') + "[a:b = 1]" + std::string(100000, ')');
  EXPECT_EQ(parse_stix_pattern(deep).error(), RejectReason::PatternTooComplex);
  const std::string deep_terms = "[" + std::string(100000, '(') + "a:b = 1";
  EXPECT_EQ(parse_stix_pattern(deep_terms).error(), RejectReason::PatternTooComplex);
  std::string product = "[a:b IN (1";
  for (int i = 0; i < 200; ++i) {
    product += ",2";
  }
  product += ")";
  EXPECT_TRUE(parse_stix_pattern(product + "]"));
  EXPECT_EQ(parse_stix_pattern(product + " AND " + product.substr(1) + "]").error(),
            RejectReason::PatternTooComplex);
}

TEST(StixFeed, VersionsRevocationAndMarkings) {
  const auto version = [](const std::string &pattern, const std::string &modified,
                          const std::string &more = "") {
    return indicator("[domain-name:value = '" + pattern + "']",
                     R"(,"id":"indicator--1","modified":")" + modified + R"(")" + more);
  };
  const auto newest = version("new.com", "2024-01-01T00:00:00.002Z",
                              R"(,"confidence":85,"name":"N","labels":["x"],"valid_from":
                              "2024-01-01T00:00:00Z","valid_until":"2030-01-01T00:00:00Z",
                              "object_marking_refs":["marking-definition--own",
                              "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"])");
  const auto older = version("old.com", "2024-01-01T00:00:00.001Z");
  const std::string marking =
      R"({"type":"marking-definition","id":"marking-definition--own","definition":{"tlp":"red"}})";
  const ReadFeed feed("b.json", bundle(newest + "," + older + "," + newest + "," + marking));
  EXPECT_EQ(feed.report().format, "stix");
  ASSERT_EQ(feed.indicators, Words{"domain new.com exact"});
  const auto &given = feed.whole.at(0);
  EXPECT_EQ(given.confidence, 85);
  EXPECT_EQ(given.about.id, "indicator--1");
  EXPECT_EQ(given.about.description, "N");
  EXPECT_EQ(given.about.tags, Words{"x"});
  EXPECT_EQ(given.about.tlp, Tlp::Red);
  EXPECT_EQ(given.about.valid_from, 1704067200);
  EXPECT_EQ(given.valid_until, 1893456000);
  EXPECT_EQ(feed.ignored(),
            (Counts{{"superseded version", 2}, {"object of type marking-definition", 1}}));

  const ReadFeed revoked(
      "b.json",
      bundle(older + "," + version("new.com", "2024-01-01T00:00:00.002Z", R"(,"revoked":true)")));
  EXPECT_TRUE(revoked.indicators.empty());
  EXPECT_EQ(revoked.ignored(), (Counts{{"superseded version", 1}, {"revoked", 1}}));
}

TEST(StixFeed, WhatIsBenignIsNoThreat) {
  const ReadFeed feed(
      "b.json",
      bundle(indicator("[domain-name:value = 'a.com']", R"(,"indicator_types":["benign"])") + "," +
             indicator("[domain-name:value = 'b.com']", R"(,"labels":["Benign"])") + "," +
             indicator("[domain-name:value = 'c.com']",
                       R"(,"indicator_types":["benign","malicious-activity"])")));
  EXPECT_EQ(feed.indicators, Words{"domain c.com exact"}); // contradicts itself: somebody's threat
  EXPECT_EQ(feed.ignored(), (Counts{{"benign by its own words", 2}}));
}

TEST(StixFeed, EnvelopesAndOtherLanguages) {
  const ReadFeed envelope(
      "page.json", R"({"more":false,"objects":[)" +
                       indicator("[domain-name:value = 'a.com']", R"(,"pattern_type":"stix")") +
                       "," + indicator("x", R"(,"pattern_type":"yara")") + "," +
                       indicator("[domain-name:value = 'b.com']", R"(,"valid_until":"soon")") +
                       "]}");
  EXPECT_EQ(envelope.report().format, "taxii");
  EXPECT_EQ(envelope.indicators, Words{"domain a.com exact"});
  EXPECT_EQ(envelope.ignored(), (Counts{{"pattern of type yara", 1}}));
  EXPECT_EQ(envelope.reasons(), (Counts{{"malformed time", 1}}));
}

// ---- Lists of records: abuse.ch, OTX, Spamhaus

TEST(JsonRecords, AbuseChShapes) {
  const ReadFeed feodo("ipblocklist.json", R"([
    {"ip_address":"45.9.20.7","port":443,"status":"online","hostname":"static.7.host.net",
     "as_number":1,"as_name":"X","country":"US","first_seen":"2021-01-17 07:30:05",
     "last_online":"2023-10-10","malware":"Dridex"},
    {"ip_address":"45.9.20.299","port":443,"hostname":null}, 7])");
  EXPECT_EQ(feodo.report().format, "json");
  EXPECT_EQ(feodo.indicators, Words{"endpoint 45.9.20.7:443"}) << "a reverse name says nothing";
  EXPECT_EQ(feodo.whole.at(0).about.description, "Dridex");
  EXPECT_EQ(feodo.whole.at(0).about.first_seen, 1610868605);
  EXPECT_EQ(feodo.report().rejected, 1U);
  EXPECT_EQ(feodo.report().lines.at(0).line, 2U);
  const ReadFeed threatfox("full.json", R"({"12":[{"ioc_value":"45.9.20.7:80","ioc_type":"ip:port",
    "threat_type":"botnet_cc","malware_printable":"Cobalt Strike","confidence_level":75,
    "tags":"a,tlp:amber","last_seen_utc":null}],
    "13":[{"ioc_value":"a@evil.com","ioc_type":"envelope_from"}]})");
  EXPECT_EQ(threatfox.indicators, Words{"endpoint 45.9.20.7:80"});
  EXPECT_EQ(threatfox.whole.at(0).confidence, 75);
  EXPECT_EQ(threatfox.whole.at(0).about.tlp, Tlp::Amber);
  EXPECT_EQ(threatfox.whole.at(0).about.tags, (Words{"botnet_cc", "a"}));
  EXPECT_EQ(threatfox.ignored(), (Counts{{"envelope_from", 1}}));
  const ReadFeed urlhaus("urls.json", R"({"urls":[{"id":"1","url":"http://evil.com/x",
    "host":"evil.com","tags":["elf","mirai"],"blacklists":{"x":"y"}}]})");
  EXPECT_EQ(urlhaus.indicators, Words{"url http://evil.com/x"});
  EXPECT_EQ(urlhaus.whole.at(0).about.tags, (Words{"elf", "mirai"}));
}

TEST(JsonRecords, Pulses) {
  const ReadFeed feed("otx.json", R"({"count":1,"results":[{"id":"p","name":"campaign",
    "references":["http://blog.sample.com/"],"indicators":[
      {"id":1,"indicator":"45.9.20.7","type":"IPv4","expiration":null,"is_active":1},
      {"id":2,"indicator":"evil.com","type":"hostname","expiration":"2030-01-01T00:00:00"},
      {"id":3,"indicator":"/tmp/x","type":"FilePath"},
      {"id":4,"indicator":")" + kSha1 +
                                      R"(","type":"SSLCertFingerprint"}]}]})");
  EXPECT_EQ(feed.indicators,
            (Words{"address 45.9.20.7", "domain evil.com", "certificate-sha1 " + kSha1}));
  EXPECT_EQ(feed.whole.at(1).valid_until, 1893456000);
  EXPECT_EQ(feed.ignored(), (Counts{{"FilePath", 1}}));
}

/// More than 64 bits costs the member it is: a record only where that is its value or time.
TEST(JsonFeeds, ANumberThatNoMachineHoldsCostsNoOtherRecord) {
  const std::string large = "18446744073709551616";
  const ReadFeed misp("event.json", R"({"Event":{"date":1e999,"Attribute":[)" +
                                        attribute("domain", "a.com", ",\"timestamp\":" + large) +
                                        "," + R"({"type":"domain","to_ids":true,"value":)" + large +
                                        "}," + attribute("domain", "b.com") + "]}}");
  EXPECT_EQ(misp.indicators, (Words{"domain a.com", "domain b.com"}));
  EXPECT_EQ(misp.reasons(), (Counts{{"bad label in name", 1}}));
  const ReadFeed stix("s.json", R"({"type":"bundle","objects":[{"type":"indicator","id":"i--1",
    "pattern_type":"stix","pattern":"[domain-name:value = 'a.com']","confidence":)" +
                                    large + R"(}]})");
  EXPECT_EQ(stix.indicators, Words{"domain a.com exact"});
  EXPECT_EQ(stix.whole.at(0).confidence, 0) << "said nothing that can be read";
  const ReadFeed records("r.json", R"([{"ip_address":"45.9.20.7","port":)" + large +
                                       R"(},{"ip_address":"45.9.20.8","port":443}])");
  EXPECT_EQ(records.indicators, Words{"endpoint 45.9.20.8:443"});
  EXPECT_EQ(records.report().rejected, 1U);
  const ReadFeed lines("drop_v4.json", R"({"cidr":"45.9.20.0/24","sblid":)" + large +
                                           "}\n{\"cidr\":\"45.9.22.0/24\",\"sblid\":\"SBL3\"}\n");
  EXPECT_EQ(lines.indicators, (Words{"network 45.9.20.0/24", "network 45.9.22.0/24"}));
  EXPECT_NE(ReadFeed("x.json", R"([{"ip_address":"45.9.20.7","port":01}])").report().problem, "");
}

TEST(JsonRecords, OneALine) {
  const ReadFeed feed("drop_v4.json", "{\"cidr\":\"45.9.20.0/24\",\"sblid\":\"SBL1\"}\r\n\n"
                                      "{\"cidr\":\"45.9.21.0/24\",\"sblid\"\n"
                                      "{\"cidr\":\"45.9.22.0/24\",\"sblid\":\"SBL3\"}\n"
                                      "{\"type\":\"metadata\",\"records\":3}\n");
  EXPECT_EQ(feed.indicators, (Words{"network 45.9.20.0/24", "network 45.9.22.0/24"}));
  EXPECT_EQ(feed.whole.at(1).about.id, "SBL3");
  EXPECT_EQ(feed.reasons(), (Counts{{"malformed record", 1}}));
  EXPECT_EQ(feed.report().lines.at(0).line, 3U);
  EXPECT_EQ(feed.ignored(), (Counts{{"object without an indicator", 1}}));
}

TEST(JsonRecords, WhatIsNoListOfThemGivesNothing) {
  for (const auto *text :
       {R"({"url":"http://a.com/"})", R"({"error":{"url":"http://a.com/"}})", R"([["a.com"]])",
        R"({"a":[{"name":"x","homepage":"http://a.com/"}]})",
        R"([[[[[[{"url":"http://a.com/"}]]]]]])", "{\"a\":1}\n{\"url\":\"http://a.com/\"}\n"}) {
    const ReadFeed feed("x.json", text);
    EXPECT_TRUE(feed.indicators.empty()) << text;
    EXPECT_NE(feed.report().problem, "") << text;
  }
}

TEST(JsonFault, IsFoundWhereItIs) {
  EXPECT_EQ(find_json_fault(R"({"a":[1,true,{"b":null}]})"), std::nullopt);
  EXPECT_EQ(find_json_fault(R"({"a":1)"), 6U);
  EXPECT_EQ(find_json_fault(R"({"a" 1})"), 5U);
  EXPECT_EQ(find_json_fault(R"({"a":1,})"), 7U);
  EXPECT_EQ(find_json_fault(R"([1 2])"), 3U);
  EXPECT_EQ(find_json_fault(R"([1]x)"), 3U);
  EXPECT_EQ(find_json_fault(R"(["abc)"), 5U);
  EXPECT_EQ(find_json_fault(R"([nul])"), 1U);
  EXPECT_EQ(find_json_fault(R"(])"), 0U);
}

TEST(JsonFeed, SaysWhyItGivesNothing) {
  EXPECT_EQ(ReadFeed("x", R"({"a":1})").report().problem,
            "JSON, but neither MISP nor STIX, TAXII or a list of records");
  EXPECT_EQ(ReadFeed("x", std::string(500, '[') + std::string(500, ']')).report().problem,
            "JSON nested deeper than 64");
  EXPECT_EQ(ReadFeed("x", bundle("")).report().problem,
            "no indicator in it (0 rejected, 0 comment or blank lines)");
  EXPECT_EQ(ReadFeed("x", R"({"type":"bundle","objects":[)").report().problem,
            "JSON broken at offset 28");
}

} // namespace
} // namespace outguard::intel
