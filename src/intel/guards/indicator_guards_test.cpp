#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "intel/guards/indicator_guards.h"
#include "intel/indicator_value.h"
#include "intel/intel_compiler.h"
#include "intel/intel_image.h"

namespace outguard::intel {
namespace {

std::string json_list(std::string_view name, std::string_view type, std::string_view attributes,
                      std::string_view entries, std::string_view category = "") {
  const auto quoted = [](std::string_view words) {
    std::istringstream stream{std::string(words)};
    std::string out;
    for (std::string word; stream >> word;) {
      out += (out.empty() ? "\"" : ", \"") + word + "\"";
    }
    return "[" + out + "]";
  };
  return R"({"name": ")" + std::string(name) + R"(", "type": ")" + std::string(type) +
         R"(", "version": 1, "description": "", "category": ")" + std::string(category) +
         R"(", "matching_attributes": )" + quoted(attributes) + R"(, "list": )" + quoted(entries) +
         "}";
}

/// "good", "flagged: warninglist:...", or why it is refused.
std::string outcome(IndicatorGuards &guards, std::string_view word) {
  const auto indicator = parse_indicator(word, ReservedPolicy::Refuse);
  if (!indicator) {
    return to_string(indicator.error());
  }
  const auto verdict = guards.judge(*indicator);
  if (verdict.refusal) {
    return std::string(to_string(*verdict.refusal)) +
           (verdict.guard.empty() ? "" : ": " + std::string(verdict.guard));
  }
  std::string flags;
  for (const auto flag : verdict.flags) {
    flags.append(flags.empty() ? "flagged: " : ", ").append(flag);
  }
  return flags.empty() ? "good" : flags;
}

constexpr const char *kIpTypes = "ip-src ip-dst domain|ip ip-src|port ip-dst|port";
constexpr const char *kNameTypes = "hostname domain url domain|ip";

TEST(IndicatorGuards, PublicSuffixesAndRootServersNeedNoList) {
  IndicatorGuards guards;
  EXPECT_EQ(outcome(guards, "co.ke"), "public suffix: everybody's names are under it");
  EXPECT_EQ(outcome(guards, "*.co.ke"), "public suffix: everybody's names are under it");
  EXPECT_EQ(outcome(guards, "\xe5\x85\xac\xe5\x8f\xb8.cn"),
            "public suffix: everybody's names are under it");
  EXPECT_EQ(outcome(guards, "fkl.co.ke"), "good");
  EXPECT_EQ(outcome(guards, "http://co.ke/x"), "good"); // one page, not the names under it
  EXPECT_EQ(outcome(guards, "193.0.14.129"), "DNS root server");
  EXPECT_EQ(outcome(guards, "193.0.14.0/24"), "DNS root server");
  EXPECT_EQ(outcome(guards, "193.0.14.129:53"), "DNS root server");
  EXPECT_EQ(outcome(guards, "2001:7fd::1"), "DNS root server");
  EXPECT_EQ(outcome(guards, "193.0.14.130"), "good");
  EXPECT_EQ(outcome(guards, "8.8.8.8"), "large public DNS resolver");
  EXPECT_EQ(outcome(guards, "1.1.1.1:853"), "large public DNS resolver");
  EXPECT_EQ(outcome(guards, "2620:fe::/48"), "large public DNS resolver");
  EXPECT_EQ(outcome(guards, "8.8.8.9"), "good");
  EXPECT_EQ(outcome(guards, "8.0.0.0/8"), "large public DNS resolver");
  EXPECT_EQ(outcome(guards, "193.0.0.0/11"), "DNS root server");
  EXPECT_EQ(outcome(guards, "11.0.0.0/8"), "good");
}

TEST(WarningLists, NetworksRefuseWhatLiesInThem) {
  IndicatorGuards guards;
  const auto report = guards.add_warning_list(
      "l.json", json_list("resolvers", "cidr", kIpTypes,
                          "45.8.8.8 45.1.0.0/16 2606:4700::1/64 junk 1.2.3.4/0"));
  EXPECT_EQ(report.accepted, 3U);
  EXPECT_EQ(report.rejected, 2U);
  EXPECT_EQ(outcome(guards, "45.8.8.8"), "on a warninglist: resolvers");
  EXPECT_EQ(outcome(guards, "45.8.8.8:53"), "on a warninglist: resolvers");
  EXPECT_EQ(outcome(guards, "45.8.8.8:7080"), "flagged: warninglist:resolvers");
  EXPECT_EQ(outcome(guards, "45.8.8.9"), "good");
  EXPECT_EQ(outcome(guards, "45.1.255.255"), "on a warninglist: resolvers");
  EXPECT_EQ(outcome(guards, "45.1.2.0/24"), "on a warninglist: resolvers");
  EXPECT_EQ(outcome(guards, "45.0.0.0/15"), "good"); // more than what is listed
  EXPECT_EQ(outcome(guards, "45.2.0.0"), "good");
  EXPECT_EQ(outcome(guards, "2606:4700::99"), "on a warninglist: resolvers");
  EXPECT_EQ(outcome(guards, "2606:4700:0:1::"), "good");
  EXPECT_EQ(outcome(guards, "http://45.8.8.8/x"), "good") << "the list is not for URLs";
}

TEST(WarningLists, HostnamesRefuseThemselvesAndFlagWhatIsBelow) {
  IndicatorGuards guards;
  ASSERT_EQ(guards
                .add_warning_list("l", json_list("sites", "hostname", kNameTypes,
                                                 "Big.com .dotted.com com B\xc3\xbc"
                                                 "cher.com"))
                .accepted,
            3U);
  EXPECT_EQ(outcome(guards, "big.com"), "on a warninglist: sites");
  EXPECT_EQ(outcome(guards, "www.big.com"), "on a warninglist: sites");
  EXPECT_EQ(outcome(guards, "evil.big.com"), "flagged: warninglist:sites");
  EXPECT_EQ(outcome(guards, "dotted.com"), "on a warninglist: sites");
  EXPECT_EQ(outcome(guards, "xn--bcher-kva.com"), "on a warninglist: sites");
  EXPECT_EQ(outcome(guards, "notbig.com"), "good");
  EXPECT_EQ(outcome(guards, "big.com.evil.org"), "good");
  EXPECT_EQ(outcome(guards, "https://big.com/"), "on a warninglist: sites");
  EXPECT_EQ(outcome(guards, "https://big.com/evil.exe"), "flagged: warninglist:sites");
  EXPECT_EQ(outcome(guards, "45.8.8.8"), "good");
}

TEST(WarningLists, StringsAreWholeValues) {
  IndicatorGuards guards;
  const auto digest = std::string(32, 'A');
  ASSERT_EQ(
      guards
          .add_warning_list("l", json_list("exact", "string", "domain md5 url",
                                           "one.com *.wild.com http://two.com/A/../b " + digest))
          .accepted,
      4U);
  EXPECT_EQ(outcome(guards, "one.com"), "on a warninglist: exact");
  EXPECT_EQ(outcome(guards, "x.one.com"), "good");
  EXPECT_EQ(outcome(guards, "x.wild.com"), "flagged: warninglist:exact");
  EXPECT_EQ(outcome(guards, "https://two.com/b"), "on a warninglist: exact");
  EXPECT_EQ(outcome(guards, "https://two.com/B"), "good");
  EXPECT_EQ(outcome(guards, std::string(32, 'a')), "on a warninglist: exact");
  EXPECT_EQ(outcome(guards, std::string(40, 'a')), "good");
}

TEST(WarningLists, SubstringsAndExpressionsFlag) {
  IndicatorGuards guards;
  const auto report =
      guards.add_warning_list("l", json_list("parts", "substring", "domain", "lab.io"));
  EXPECT_EQ(report.accepted, 1U);
  ASSERT_EQ(
      guards.add_warning_list("m", json_list("exprs", "regex", "url", "evil[0-9] (")).rejected, 1U);
  EXPECT_EQ(outcome(guards, "my.lab.io.com"), "flagged: warninglist:parts");
  EXPECT_EQ(outcome(guards, "http://lab.io.com/"), "good");
  EXPECT_EQ(outcome(guards, "http://a.com/evil7"), "flagged: warninglist:exprs");
}

TEST(WarningLists, OnlyForTheTypesTheyName) {
  IndicatorGuards guards;
  const auto mail = guards.add_warning_list("l", json_list("mail", "substring", "email-src", "a"));
  EXPECT_EQ(mail.accepted, 0U);
  EXPECT_EQ(mail.note, "for no type of indicator here");
  EXPECT_EQ(mail.problem, "");
  ASSERT_EQ(guards.add_warning_list("m", json_list("all", "string", "", "one.com")).accepted, 1U);
  EXPECT_EQ(outcome(guards, "one.com"), "on a warninglist: all");
  const auto labels =
      guards.add_warning_list("t", json_list("tlds", "string", "domain", "com org"));
  EXPECT_EQ(labels.ignored, 2U);
  EXPECT_EQ(labels.problem, "") << "no single label is ever an indicator";
}

TEST(WarningLists, WhatOnlyInformsFlags) {
  IndicatorGuards guards;
  const auto add = [&](const char *name, const char *entry, const char *category) {
    ASSERT_EQ(
        guards.add_warning_list("l", json_list(name, "cidr", kIpTypes, entry, category)).accepted,
        1U);
  };
  add("List of known Amazon AWS IP address ranges", "45.1.0.0/16", "");
  add("Shodan IP-Ranges, pot. used for Scanning", "45.2.0.0/16", "");
  add("List of known IPv4 public DNS resolvers", "45.5.0.0/16", "");
  add("List of my own", "45.3.0.0/16", "known");
  add("List of known sinkholes", "45.4.0.0/16", "false_positive");
  EXPECT_EQ(outcome(guards, "45.1.2.3"),
            "flagged: warninglist:List of known Amazon AWS IP address ranges");
  EXPECT_EQ(outcome(guards, "45.2.2.3"),
            "flagged: warninglist:Shodan IP-Ranges, pot. used for Scanning");
  EXPECT_EQ(outcome(guards, "45.5.2.3"),
            "flagged: warninglist:List of known IPv4 public DNS resolvers");
  EXPECT_EQ(outcome(guards, "45.3.2.3"), "flagged: warninglist:List of my own");
  EXPECT_EQ(outcome(guards, "45.4.2.3"), "on a warninglist: List of known sinkholes");
}

TEST(WarningLists, BrokenDocumentsAreProblems) {
  IndicatorGuards guards;
  for (const auto *text :
       {"", "{", "[]", R"({"type": "cidr"})", R"({"list": {}, "type": "cidr"})",
        R"({"list": ["a.com"], "type": "odd"})", R"({"list": ["a.com"]})",
        R"({"list": [], "type": "cidr"})", R"({"list": [1, null], "type": "cidr"})"}) {
    EXPECT_NE(guards.add_warning_list("l", text).problem, "") << text;
  }
  EXPECT_EQ(outcome(guards, "a.com"), "good");
}

TEST(IndicatorGuards, RejectsAreCountedByListAndFlagsBecomeTags) {
  IndicatorGuards guards;
  ASSERT_EQ(
      guards.add_warning_list("l", json_list("sites", "hostname", "domain", "big.com great.com"))
          .accepted,
      2U);
  IntelCompiler compiler(random_seed(), &guards);
  const std::string_view text = "big.com\ngreat.com\nco.ke\nx.big.com\nevil.com\n";
  const auto report =
      compiler.add_feed("f", {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()});
  EXPECT_EQ(report.accepted, 2U);
  EXPECT_EQ(report.flagged, 1U);
  EXPECT_EQ(report.rejected, 3U);
  std::map<std::string, std::uint64_t> reasons;
  for (const auto &reason : report.reasons) {
    reasons[reason.reason] = reason.count;
  }
  EXPECT_EQ(reasons, (std::map<std::string, std::uint64_t>{
                         {"on a warninglist: sites", 2},
                         {"public suffix: everybody's names are under it", 1}}));
  EXPECT_EQ(report.lines.at(0).reason, "on a warninglist: sites");
  const auto compiled = compiler.compile();
  const auto image = IntelImage::open(compiled.image);
  ASSERT_TRUE(image);
  std::vector<std::string> tags;
  image->match_domain("x.big.com", kAnyTime, [&](IndicatorId id) {
    const auto hit = image->hit(id).value();
    for (const auto &tag : hit.tags) {
      tags.push_back(tag.printable());
    }
  });
  EXPECT_EQ(tags, std::vector<std::string>{"warninglist:sites"});
}

// ---- Real lists, where they are at hand --------------------------------------------------

std::string whole(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(IndicatorGuards, JudgedIndicatorsOfRealFeeds) {
  const char *folder = std::getenv("OUTGUARD_SHARED_DATA");
  const auto root = std::filesystem::path(folder == nullptr ? "" : folder);
  const auto lists = root / "intel/misp-warninglists/lists";
  std::ifstream judged(root / "curated-detections.tsv");
  if (folder == nullptr || !std::filesystem::is_directory(lists) || !judged) {
    GTEST_SKIP() << "no warninglists or judged detections under OUTGUARD_SHARED_DATA";
  }
  IndicatorGuards guards;
  for (const auto &entry : std::filesystem::directory_iterator(lists)) {
    const auto report = guards.add_warning_list(entry.path().filename().string(),
                                                whole(entry.path() / "list.json"));
    EXPECT_EQ(report.problem, "") << report.name;
    for (const auto &reason : report.reasons) {
      RecordProperty(report.name + ": " + reason.reason, static_cast<int>(reason.count));
    }
  }
  std::string line;
  std::getline(judged, line); // the header
  std::size_t good = 0, bad = 0;
  std::map<std::string, std::string> others;
  while (std::getline(judged, line)) {
    std::vector<std::string> cells;
    std::istringstream row(line);
    for (std::string cell; std::getline(row, cell, '\t');) {
      cells.push_back(cell);
    }
    ASSERT_EQ(cells.size(), 6U) << line;
    const auto result = outcome(guards, cells[3]);
    const bool kept = result == "good" || result.starts_with("flagged");
    if (cells[5].starts_with("TRUE")) {
      EXPECT_TRUE(kept) << cells[3] << ": " << result;
      ++good;
    } else if (cells[5].starts_with("FALSE")) {
      EXPECT_FALSE(kept) << cells[3] << ": " << result << ": " << cells[5];
      ++bad;
    } else {
      others[cells[3]] = result;
    }
  }
  EXPECT_GT(good, 5U);
  EXPECT_GT(bad, 20U);
  for (const auto &[value, result] : others) { // matches of policy: for the record
    RecordProperty(value, result);
  }
}

/// Each name of the list's own vectors, as an indicator: refused as a suffix, or not.
TEST(IndicatorGuards, VectorsOfThePublicSuffixList) {
  const char *folder = std::getenv("OUTGUARD_SHARED_DATA");
  std::ifstream file(std::filesystem::path(folder == nullptr ? "" : folder) /
                     "vectors/publicsuffix/test_psl.txt");
  if (!file) {
    GTEST_SKIP() << "no public-suffix vectors under OUTGUARD_SHARED_DATA";
  }
  IndicatorGuards guards;
  std::size_t suffixes = 0, names = 0, no_names = 0;
  for (std::string line; std::getline(file, line);) {
    constexpr std::string_view kCall = "checkPublicSuffix('";
    if (!line.starts_with(kCall)) {
      continue;
    }
    const auto name = line.substr(kCall.size(), line.find('\'', kCall.size()) - kCall.size());
    const bool is_suffix = line.ends_with(" null);");
    const auto result = outcome(guards, name);
    const bool refused = result.starts_with("public suffix");
    const bool one_label = name.find('.') == std::string::npos;
    if (name.starts_with('.') || one_label) { // no names that an indicator can be
      ++no_names;
      EXPECT_NE(result, "good") << line;
      continue;
    }
    ++(is_suffix ? suffixes : names);
    EXPECT_EQ(refused, is_suffix) << line << ": " << result;
  }
  EXPECT_EQ(suffixes, 11U);
  EXPECT_EQ(names, 52U);
  EXPECT_EQ(no_names, 14U);
}

} // namespace
} // namespace outguard::intel
