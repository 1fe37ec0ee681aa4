// An optional further check against real public feeds: every file under intel/ of the folder that
// OUTGUARD_SHARED_DATA names is read, and the STIX patterns of vectors/ are judged. Counts of each
// file go to the file that OUTGUARD_FEEDS_REPORT names.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "intel/feeds/feeds_testing.h"
#include "intel/feeds/stix_parser.h"

namespace outguard::intel {
namespace {

namespace fs = std::filesystem;

std::string content(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

fs::path shared_data(const char *part) {
  const char *folder = std::getenv("OUTGUARD_SHARED_DATA");
  return folder == nullptr ? fs::path() : fs::path(folder) / part;
}

void describe(std::ostream &out, const FeedReport &report) {
  out << report.name << " [" << report.format << "] accepted " << report.accepted << " rejected "
      << report.rejected << " ignored " << report.ignored << " " << report.problem << report.note
      << '\n';
  for (const auto &reason : report.reasons) {
    out << "  " << reason.count << " " << reason.reason << '\n';
  }
  for (const auto &kind : report.ignored_kinds) {
    out << "  " << kind.count << " ignored: " << kind.reason << '\n';
  }
  for (const auto &line : report.lines) {
    out << "  :" << line.line << " " << line.reason << ": " << line.text.printable() << '\n';
  }
}

/// Files of those folders that are what their ending says, without one line of prose in them.
bool is_sound(const std::string &path) {
  const auto ends = [&](const char *ending) { return path.ends_with(ending); };
  return ends(".sha1") || ends(".sha256") || ends(".md5") || ends(".stix2") || ends(".intel") ||
         path.find("misp") != std::string::npos;
}

TEST(RealFeeds, AreReadAsWhatTheyAre) {
  const auto root = shared_data("intel");
  if (root.empty() || !fs::is_directory(root)) {
    GTEST_SKIP() << "OUTGUARD_SHARED_DATA names no folder with intel/";
  }
  const char *report_path = std::getenv("OUTGUARD_FEEDS_REPORT");
  std::ofstream out(report_path == nullptr ? "/dev/null" : report_path);
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;
  std::map<std::string, std::uint64_t> formats;
  for (const auto &entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) {
      continue;
    }
    const auto path = entry.path().string();
    const ReadFeed feed(path, content(entry.path()));
    for (const auto &report : feed.reports) {
      describe(out, report);
      accepted += report.accepted;
      rejected += report.rejected;
      formats[report.format] += report.accepted;
      if (is_sound(path) && path.find("warninglists") == std::string::npos) {
        EXPECT_GE(report.accepted * 20 + report.ignored * 20 + 20, report.rejected) << path;
      }
    }
  }
  for (const auto &[format, count] : formats) {
    std::printf("%-20s %9lu indicators\n", format.c_str(), static_cast<unsigned long>(count));
  }
  std::printf("accepted %lu, rejected %lu\n", static_cast<unsigned long>(accepted),
              static_cast<unsigned long>(rejected));
  EXPECT_GT(formats["list"], 1'000'000U);
  EXPECT_GT(formats["zeek-intel"], 10'000U);
  EXPECT_GT(formats["stix"], 1'700U);
  EXPECT_GT(formats["misp"], 500U);
  EXPECT_LT(rejected * 100, accepted);
}

/// The value of `"name": ` in a line of JSON that holds one member, as the vectors are written.
std::string member_of(const std::string &line, const std::string &name) {
  const auto start = "\"" + name + "\": ";
  if (!line.starts_with(start)) {
    return {};
  }
  auto value = line.substr(start.size());
  if (value.ends_with(',')) {
    value.pop_back();
  }
  if (!value.starts_with('"')) {
    return value;
  }
  std::string plain;
  for (std::size_t i = 1; i + 1 < value.size(); ++i) {
    if (value[i] == '\\') {
      ++i;
    }
    plain += value[i];
  }
  return plain;
}

TEST(RealStixPatterns, AreValidOrNotAsTheVectorsSay) {
  std::ifstream file(shared_data("vectors") / "_derived/stix-pattern-validate-vectors.json");
  if (!file) {
    GTEST_SKIP() << "OUTGUARD_SHARED_DATA names no folder with vectors/";
  }
  std::string line;
  std::string pattern;
  std::size_t seen = 0;
  while (std::getline(file, line)) {
    if (auto given = member_of(line, "pattern"); !given.empty()) {
      pattern = given;
    }
    const auto valid = member_of(line, "valid");
    if (valid.empty()) {
      continue;
    }
    ++seen;
    bool sound = parse_stix_pattern(pattern).has_value();
    if (sound) { // a digest of the wrong length is a matter of its value
      const auto alternatives = *parse_stix_pattern(pattern);
      sound = std::none_of(alternatives.begin(), alternatives.end(), [](const auto &one) {
        std::string why;
        const auto meaning = indicator_of(one, ReservedPolicy::Allow, why);
        return meaning && !*meaning && meaning->error() == RejectReason::BadHash;
      });
    }
    EXPECT_EQ(sound, valid == "true") << pattern;
  }
  EXPECT_EQ(seen, 127U) << "other vectors than docs/comparisons.md speaks of";
}

} // namespace
} // namespace outguard::intel
