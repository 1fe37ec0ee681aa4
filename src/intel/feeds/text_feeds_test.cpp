// Line-based formats, from a whole feed's bytes to indicators and counts.
#include <gtest/gtest.h>

#include "intel/feeds/feed_time.h"
#include "intel/feeds/feeds_testing.h"

namespace outguard::intel {
namespace {

using Words = std::vector<std::string>;
using Counts = std::map<std::string, std::uint64_t>;

constexpr auto kMd5 = "0123456789abcdef0123456789abcdef";

TEST(FeedTime, ReadsWhatFeedsWrite) {
  EXPECT_EQ(parse_time("2021-01-17 07:30:05"), 1610868605);
  EXPECT_EQ(parse_time("2021-01-17T07:30:05Z"), 1610868605);
  EXPECT_EQ(parse_time("2021-01-17 07:30:05 UTC"), 1610868605);
  EXPECT_EQ(parse_time("2021-01-17T09:30:05+02:00"), 1610868605);
  EXPECT_EQ(parse_time("2021-01-17T05:30:05-0200"), 1610868605);
  EXPECT_EQ(parse_time("1610868605"), 1610868605);
  EXPECT_EQ(parse_time("1610868605123"), 1610868605);
  EXPECT_EQ(parse_time("2021-01-17"), 1610841600);
  EXPECT_EQ(parse_time("2024-02-29"), 1709164800);
  EXPECT_EQ(parse_time_ns("2021-01-17T07:30:05.5Z"), 1610868605500000000);
  EXPECT_EQ(parse_time_ns("2021-01-17T07:30:05.123456789123Z"), 1610868605123456789);
  EXPECT_GT(parse_time("9999-12-31T23:59:59Z").value_or(0), 9'000'000'000);
  EXPECT_FALSE(parse_time_ns("9999999999999")) << "milliseconds beyond what 64 bits hold";
  EXPECT_FALSE(parse_time_ns("9999999999"));
}

TEST(FeedTime, RefusesWhatIsNone) {
  for (const auto *text :
       {"", "2021", "20210117", "2021-13-01", "2021-02-29", "2021-01-17T24:00:00Z", "2021-1-17",
        "2021-01-17T07:30:05.Z", "2021-01-17T07:30:05Zx", "2021-01-17 07:30:61", "1969-01-01",
        "-1610868605", "1610868605x", "yesterday", "2021-01-17T07:30:05+25:00"}) {
    EXPECT_EQ(parse_time(text), std::nullopt) << text;
  }
}

TEST(CsvFeed, FeodoShape) {
  const ReadFeed feed("ipblocklist.csv",
                      "################\r\n"
                      "# Botnet C2 list, (CSV)    #\r\n"
                      "# \"first_seen_utc\",\"dst_ip\",\"dst_port\",\"c2_status\",\"last_online\","
                      "\"malware\"\r\n"
                      "\"2021-01-17 07:30:05\",\"67.213.75.205\",\"443\",\"offline\","
                      "\"2023-10-10\",\"Dridex\"\r\n"
                      "\"2021-01-17 07:30:05\",\"67.213.75.299\",\"443\",\"\",\"\",\"Dridex\"\r\n"
                      "\"2021-01-17 07:30:05\",\"67.213.75.206\",\"70000\",\"\",\"\",\"X\"\r\n"
                      "# END (3 entries)\r\n");
  EXPECT_EQ(feed.report().format, "csv");
  EXPECT_EQ(feed.indicators, Words{"endpoint 67.213.75.205:443"});
  const auto &about = feed.whole.at(0).about;
  EXPECT_EQ(about.description, "Dridex");
  EXPECT_EQ(about.first_seen, 1610868605);
  EXPECT_EQ(about.last_seen, 1696896000);
  EXPECT_EQ(feed.reasons(),
            (Counts{{"not an address, network, domain or URL", 1}, {"bad port", 1}}));
  EXPECT_EQ(feed.report().lines.at(0).line, 5U);
  EXPECT_EQ(feed.report().comments, 4U);
}

TEST(CsvFeed, ThreatFoxShape) {
  const ReadFeed feed(
      "full.csv",
      "# "
      "\"first_seen_utc\",\"ioc_id\",\"ioc_value\",\"ioc_type\",\"threat_type\",\"malware_"
      "printable\","
      "\"last_seen_utc\",\"confidence_level\",\"reference\",\"tags\"\n"
      "\"2024-01-02 03:04:05\", \"12\", \"45.9.20.7:443\", \"ip:port\", \"botnet_cc\", \"Cobalt "
      "Strike\", \"\", \"75\", \"None\", \"a,tlp:amber,\"\"b\"\"\"\n"
      "\"2024-01-02 03:04:05\", \"13\", \"evil.com\", \"domain\", \"botnet_cc\", \"X\", \"\", "
      "\"100\", "
      "\"None\", \"None\"\n"
      "\"2024-01-02 03:04:05\", \"14\", \"45.9.20.8\", \"domain\", \"botnet_cc\", \"X\", \"\", "
      "\"100\", "
      "\"None\", \"None\"\n"
      "\"2024-01-02 03:04:05\", \"15\", \"a@evil.com\", \"envelope_from\", \"x\", \"X\", \"\", "
      "\"9\", "
      "\"None\", \"None\"\n"
      "\"2024-01-02 03:04:05\", \"16\", \"x\", \"riddle\", \"x\", \"X\", \"\", \"9\", \"\", "
      "\"\"\n");
  EXPECT_EQ(feed.indicators, (Words{"endpoint 45.9.20.7:443", "domain evil.com"}));
  const auto &first = feed.whole.at(0);
  EXPECT_EQ(first.confidence, 75);
  EXPECT_EQ(first.about.id, "12");
  EXPECT_EQ(first.about.description, "Cobalt Strike");
  EXPECT_EQ(first.about.tags, (Words{"botnet_cc", "a", "\"b\""}));
  EXPECT_EQ(first.about.tlp, Tlp::Amber);
  EXPECT_EQ(feed.reasons(),
            (Counts{{"value is not of the type stated", 1}, {"unknown indicator type", 1}}));
  EXPECT_EQ(feed.ignored(), (Counts{{"envelope_from", 1}}));
}

TEST(CsvFeed, AUrlsHostIsNoIndicator) {
  const ReadFeed feed("urls.csv", "# id,dateadded,url,url_status,threat,host\n"
                                  "\"1\",\"2024-01-02 03:04:05\",\"http://drive.sample.com/a,b\","
                                  "\"online\",\"malware_download\",\"drive.sample.com\"\n");
  EXPECT_EQ(feed.indicators, Words{"url http://drive.sample.com/a,b"});
}

TEST(CsvFeed, CertificatesAndJa3) {
  const ReadFeed certificates(
      "sslblacklist.csv", "# Listingdate,SHA1,Listingreason\n"
                          "2024-01-02 03:04:05,0123456789abcdef0123456789abcdef01234567,X C&C\n");
  EXPECT_EQ(certificates.indicators,
            Words{"certificate-sha1 0123456789abcdef0123456789abcdef01234567"});
  const ReadFeed ja3("x.csv", std::string("# ja3_md5,Firstseen,Lastseen,Listingreason\n") + kMd5 +
                                  ",2017-07-14 18:08:15,2019-07-27 20:42:54,Adware\n");
  EXPECT_EQ(ja3.indicators, Words{std::string("ja3 ") + kMd5});
  const ReadFeed by_name("osx-ja3.csv", std::string("\"Copyright\nof somebody\",\n") + kMd5 +
                                            ",\"AIM\"\n" + kMd5 + ",\"Other\"\n");
  EXPECT_EQ(by_name.indicators.at(0), std::string("ja3 ") + kMd5);
  EXPECT_EQ(by_name.whole.at(0).about.description, "AIM");
  EXPECT_EQ(by_name.report().rejected, 1U);
}

TEST(CsvFeed, SaysWhyItGivesNothing) {
  EXPECT_EQ(ReadFeed("a.csv", "# id,url,threat\n").report().problem, "a header and no rows");
  EXPECT_EQ(ReadFeed("a.csv", "url,threat\n").report().problem, "a header and no rows");
  FeedOptions csv;
  csv.format = FeedFormat::Csv;
  EXPECT_EQ(ReadFeed("a.csv", "Group ID,Name\n64,drives\n", csv).report().problem,
            "no column is known to hold indicators");
}

TEST(CsvFeed, BrokenRecordsCostOnlyThemselves) {
  const ReadFeed feed("a.csv",
                      "domain,comment\n\"a.evil.com\",\"x\n\"b.evil.com\",y\nc.evil.com,z\n"
                      "d.evil.com,\"not \"closed\n,nothing\n");
  EXPECT_EQ(feed.indicators.back(), "domain c.evil.com");
  EXPECT_EQ(feed.report().rejected, 4U - (feed.indicators.size() - 1));
  const ReadFeed ends("a.csv", "domain,valid_until\na.evil.com,2030-01-01\nb.evil.com,soon\n");
  EXPECT_EQ(ends.indicators, Words{"domain a.evil.com"});
  EXPECT_EQ(ends.whole.at(0).valid_until, 1893456000);
  EXPECT_EQ(ends.reasons(), (Counts{{"malformed time", 1}}));
}

TEST(CsvFeed, SemicolonsAndManyValues) {
  const ReadFeed feed("a.csv", "domain_name;ip_address\n\"evil.com\";\"45.9.20.7\"\n;45.9.20.8\n");
  EXPECT_EQ(feed.indicators, (Words{"domain evil.com", "address 45.9.20.7", "address 45.9.20.8"}));
}

TEST(CsvFeed, TheCacheOfAMispFeedIsNone) {
  const ReadFeed feed("hashes.csv", std::string(kMd5) + ",5f2b0c1a-0000-4000-8000-00000000000a\n");
  EXPECT_TRUE(feed.indicators.empty());
  EXPECT_EQ(feed.report().problem, "");
  EXPECT_NE(feed.report().note, "");
}

TEST(ReputationFeed, ScoreIsConfidence) {
  const ReadFeed feed("iprep.list", "45.9.20.7,1,127\n45.9.20.0/24,2,1\n45.9.20.8,1,0\n");
  EXPECT_EQ(feed.report().format, "suricata-reputation");
  EXPECT_EQ(feed.indicators, (Words{"address 45.9.20.7", "network 45.9.20.0/24"}));
  EXPECT_EQ(feed.whole.at(0).confidence, 100);
  EXPECT_EQ(feed.whole.at(1).confidence, 1);
  EXPECT_EQ(feed.ignored(), (Counts{{"score of 0", 1}}));
  FeedOptions named;
  named.format = FeedFormat::SuricataReputation;
  EXPECT_EQ(ReadFeed("x", "45.9.20.7,1,128\n45.9.20.7,1\n", named).reasons(),
            (Counts{{"confidence or score out of range", 1}, {"no value", 1}}));
}

TEST(ZeekFeed, TypesAndNulls) {
  const ReadFeed feed("a.intel",
                      "#fields\tindicator\tindicator_type\tmeta.source\tmeta.desc\n"
                      "Evil.com\tIntel::DOMAIN\tsomebody\t-\n"
                      "evil.com/a?b\tIntel::URL\t-\tdropper\n"
                      "45.9.20.0/24\tIntel::SUBNET\t-\t-\n"
                      "45.9.20.7\tIntel::ADDR\t-\t-\n"
                      "0123456789abcdef0123456789abcdef01234567\tIntel::FILE_HASH\t-\t-\n"
                      "0123456789abcdef0123456789abcdef01234567\tIntel::CERT_HASH\t-\t-\n"
                      "evil.com\tIntel::FILE_HASH\t-\t-\n"
                      "a@evil.com\tIntel::EMAIL\t-\t-\n"
                      "45.9.20.9\tIntel::DOMAIN\t-\t-\n"
                      "-\tIntel::DOMAIN\t-\t-\n"
                      "x\tIntel::RIDDLE\t-\t-\n");
  EXPECT_EQ(feed.report().format, "zeek-intel");
  EXPECT_EQ(feed.indicators,
            (Words{"domain evil.com exact", "url evil.com/a?b", "network 45.9.20.0/24",
                   "address 45.9.20.7", "file-sha1 0123456789abcdef0123456789abcdef01234567",
                   "certificate-sha1 0123456789abcdef0123456789abcdef01234567"}));
  EXPECT_EQ(feed.whole.at(0).about.tags, Words{"somebody"});
  EXPECT_EQ(feed.whole.at(0).about.description, "");
  EXPECT_EQ(feed.whole.at(1).about.description, "dropper");
  EXPECT_EQ(feed.reasons(), (Counts{{"malformed hash", 1},
                                    {"value is not of the type stated", 1},
                                    {"no value", 1},
                                    {"unknown indicator type", 1}}));
  EXPECT_EQ(feed.ignored(), (Counts{{"Intel::EMAIL", 1}}));
  EXPECT_EQ(ReadFeed("a.intel", "#fields\tindicator\tindicator_type\n").report().problem,
            "a header and no rows");
}

TEST(DatasetFeed, Base64AndDigests) {
  // "evil.com", "bad.evil.com"
  const ReadFeed strings("names.lst", "ZXZpbC5jb20=\nYmFkLmV2aWwuY29t,10\n");
  EXPECT_EQ(strings.report().format, "suricata-dataset");
  EXPECT_EQ(strings.indicators, (Words{"domain evil.com exact", "domain bad.evil.com exact"}));
  const ReadFeed digests("set-md5.lst", std::string(kMd5) + "\nevil.com\n");
  EXPECT_EQ(digests.indicators, Words{std::string("file-md5 ") + kMd5});
  EXPECT_EQ(digests.reasons(), (Counts{{"value is not of the type stated", 1}}));
  const ReadFeed ja3("ja3-md5.lst", std::string(kMd5) + "\n");
  EXPECT_EQ(ja3.indicators, Words{std::string("ja3 ") + kMd5});
  const ReadFeed wrong("set-string.lst", "ZXZpbC5jb20=\n!!\n");
  EXPECT_EQ(wrong.reasons(), (Counts{{"neither base64 nor what the set holds", 1}}));
}

TEST(AdGuardFeed, HostsAndTheRest) {
  const ReadFeed feed("filter.txt", "[Adblock Plus 2.0]\n! Title: x\n||evil.com^\n"
                                    "||*.wild.evil.com^$important\n||45.9.20.7^\n"
                                    "||cdn.sample.com^$script,domain=a.com\n@@||good.com^\n"
                                    "||evil.com/path^\nsample.com##.banner\n/ads[0-9]/\n"
                                    "0.0.0.0 host.evil.com\nplain.evil.com\n||broken\n");
  EXPECT_EQ(feed.report().format, "adguard");
  EXPECT_EQ(feed.indicators, (Words{"domain evil.com", "domain wild.evil.com", "address 45.9.20.7",
                                    "domain host.evil.com exact", "domain plain.evil.com"}));
  EXPECT_EQ(feed.ignored(), (Counts{{"rule for some requests only", 1},
                                    {"exception", 1},
                                    {"rule on a path or with wildcards", 2},
                                    {"rule on parts of pages", 1}}));
  EXPECT_EQ(feed.reasons(), (Counts{{"malformed filter rule", 1}}));
}

TEST(RpzFeed, TriggersAndActions) {
  const ReadFeed feed("rpz.zone",
                      "$TTL 60\n$ORIGIN rpz.sample.\n@ IN SOA ns.sample. root.sample. (\n"
                      "  1 ; serial\n  3600 600 86400 60 )\n  IN NS localhost.\n"
                      "evil.com CNAME .\n*.evil.com 60 IN CNAME .\n"
                      "bad.evil.net.rpz.sample. IN CNAME rpz-drop.\n"
                      "sink.evil.com A 127.0.0.1\n"
                      "good.com CNAME rpz-passthru.\n"
                      "24.0.20.9.45.rpz-ip CNAME .\n"
                      "128.1.zz.4700.2606.rpz-ip CNAME .\n"
                      "32.7.20.9.45.rpz-client-ip CNAME .\n"
                      "elsewhere.com. CNAME .\n"
                      "broken\n");
  EXPECT_EQ(feed.report().format, "rpz");
  EXPECT_EQ(feed.indicators,
            (Words{"domain evil.com exact", "domain evil.com", "domain bad.evil.net exact",
                   "domain sink.evil.com exact", "network 45.9.20.0/24", "address 2606:4700::1"}));
  EXPECT_EQ(feed.ignored(),
            (Counts{{"exception (rpz-passthru)", 1}, {"trigger rpz-client-ip", 1}}));
  EXPECT_EQ(feed.reasons(), (Counts{{"name outside its zone", 1}, {"malformed record", 1}}));
}

TEST(RpzFeed, ParenthesesOfCommentsAndTextsSpreadNothing) {
  const ReadFeed feed("rpz.zone", "@ IN SOA ns.sample. root.sample. ( 1 3600 600 86400 60 )\n"
                                  "a.evil.com CNAME . ; seen (1\n"
                                  "b.evil.com TXT \"a ( and a ; \"\n"
                                  "c.evil.com CNAME .\n"
                                  "d.evil.com TXT ( \"not )\"\n  \"closed\" )\n"
                                  "e.evil.com CNAME .\n");
  EXPECT_EQ(feed.indicators, (Words{"domain a.evil.com exact", "domain c.evil.com exact",
                                    "domain e.evil.com exact"}));
}

TEST(ListFeed, StaysAListAndTheNameTellsOfDigests) {
  const ReadFeed list("list.txt", "# x\nevil.com\n[2606:4700::1]:443\nhttp://evil.com/a,b\n");
  EXPECT_EQ(list.report().format, "list");
  EXPECT_EQ(list.indicators,
            (Words{"domain evil.com", "endpoint [2606:4700::1]:443", "url http://evil.com/a,b"}));
  EXPECT_EQ(ReadFeed("/feeds/bad-ja3.txt", kMd5).indicators, Words{std::string("ja3 ") + kMd5});
  EXPECT_EQ(ReadFeed("/ja3/samples.md5", kMd5).indicators, Words{std::string("file-md5 ") + kMd5});
}

TEST(ListFeed, AStarBehindASlashMeansAllThatBeginsSo) {
  const ReadFeed list("list.txt",
                      "http://evil.com/kit/*\nevil.com/a*\n/gate/panel/*\n/x/*\nevil.com/b/\n");
  EXPECT_EQ(list.indicators, (Words{"url http://evil.com/kit/", "url evil.com/a*",
                                    "url-path /gate/panel/", "url evil.com/b/"}));
  const auto is_prefix = [](const FeedIndicator &one) { return one.scope == MatchScope::Prefix; };
  EXPECT_TRUE(is_prefix(list.whole.at(0)));
  EXPECT_FALSE(is_prefix(list.whole.at(1))) << "a star may stand in a URL";
  EXPECT_TRUE(is_prefix(list.whole.at(2)));
  EXPECT_FALSE(is_prefix(list.whole.at(3)));
  EXPECT_EQ(list.report().rejected, 1U) << "too short a path";
  const ReadFeed csv("a.csv", "url,tags\nhttp://evil.com/kit/*,x\nhttp://evil.com/y,x\n");
  EXPECT_TRUE(is_prefix(csv.whole.at(0)));
  EXPECT_FALSE(is_prefix(csv.whole.at(1)));
  const ReadFeed zeek("a.intel",
                      "#fields\tindicator\tindicator_type\nevil.com/kit/*\tIntel::URL\n");
  EXPECT_EQ(zeek.indicators, Words{"url evil.com/kit/*"}) << "Zeek compares";
  EXPECT_FALSE(is_prefix(zeek.whole.at(0)));
}

TEST(ListFeed, MailAddressesAreNoBrokenLines) {
  const ReadFeed feed("emails.txt", "evil.com\na@evil.com\r\nb@evil.com \na@b\n");
  EXPECT_EQ(feed.indicators, Words{"domain evil.com"});
  EXPECT_EQ(feed.ignored(), (Counts{{"e-mail address", 2}}));
  EXPECT_EQ(feed.reasons(), (Counts{{"bad label in name", 1}}));
}

TEST(FeedReader, MarkAndLineEndsChangeNothing) {
  const std::pair<const char *, std::string> feeds[] = {
      {"list", "# c\n\nevil.com\n45.9.20.7 # x\n"},
      {"list", "0.0.0.0 evil.com\n127.0.0.1 a.evil.com b.evil.com\n"},
      {"csv", "domain,comment\n\"evil.com\",\"x, y\"\na.evil.com,\n"},
      {"zeek-intel", "#fields\tindicator\tindicator_type\nevil.com\tIntel::DOMAIN\n"},
      {"suricata-dataset", "ZXZpbC5jb20=\nYmFkLmV2aWwuY29t,10\n"},
      {"suricata-reputation", "45.9.20.7,1,127\n45.9.20.8,1,1\n"},
      {"adguard", "! x\n||evil.com^\n||a.evil.com^$important\n"},
      {"rpz", "@ SOA a. b. (\n 1 2 3 4 5 )\nevil.com CNAME .\n*.evil.com CNAME .\n"},
      {"json", "[\n{\"domain\":\"evil.com\"},\n{\"domain\":\"a.evil.com\"}\n]\n"},
  };
  for (const auto &[format, text] : feeds) {
    std::string other = "\xef\xbb\xbf";
    for (const char c : text) {
      other += c == '\n' ? "\r\n" : std::string(1, c);
    }
    other.resize(other.size() - 2); // the last line has no end
    const ReadFeed plain("x", text);
    const ReadFeed marked("x", other);
    EXPECT_EQ(plain.report().format, format) << text;
    EXPECT_EQ(marked.report().format, format) << text;
    EXPECT_FALSE(plain.indicators.empty()) << text;
    EXPECT_EQ(marked.indicators, plain.indicators) << text;
    EXPECT_EQ(marked.report().rejected, 0U) << text;
  }
}

TEST(FeedReader, ASpuriousNulCostsItsLine) {
  std::string text = "evil.com\n" + std::string(5000, '#') + "\na.ev";
  text += '\0';
  text += "il.com\nb.evil.com\n";
  const ReadFeed feed("x", text);
  EXPECT_EQ(feed.indicators, (Words{"domain evil.com", "domain b.evil.com"}));
  EXPECT_EQ(feed.report().rejected, 1U + 1U); // and the long line
}

TEST(FeedReader, SaysWhatIsNoFeed) {
  EXPECT_EQ(ReadFeed("x", "").report().problem, "empty file");
  EXPECT_EQ(ReadFeed("x", "\xef\xbb\xbf \r\n\n").report().problem, "empty file");
  EXPECT_EQ(ReadFeed("x", "<!DOCTYPE html><html>503").report().problem,
            "an HTML page, not a feed (an error page?)");
  EXPECT_EQ(ReadFeed("x", "<?xml version='1.0'?>").report().problem,
            "XML, which no known feed format is");
  EXPECT_EQ(ReadFeed("x", std::string_view("ab\0c", 4)).report().problem,
            "binary data, not a feed (NUL at byte 2)");
  EXPECT_EQ(ReadFeed("x", std::string_view("\xff\xfe"
                                           "a\0.\0",
                                           6))
                .report()
                .problem,
            "UTF-16 text: save it as UTF-8");
  EXPECT_EQ(ReadFeed("x", std::string_view("\xfe\xff"
                                           "\0a",
                                           4))
                .report()
                .problem,
            "UTF-16 text: save it as UTF-8");
  EXPECT_EQ(ReadFeed("x", "{\"a\": [1, 2,, 3]}").report().problem, "JSON broken at offset 12");
}

} // namespace
} // namespace outguard::intel
