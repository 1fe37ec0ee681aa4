// Every capture that observables.tsv speaks of, through the packet path, beside what tshark saw.
// docs/comparisons.md lists each capture and kind that differs, how much of it on which side, and
// why: its tables are the expectation of this test, and a change in either direction fails it.
// OUTGUARD_CAPTURES_REPORT names a file for every single difference.
#include <algorithm>
#include <cstdio>

#include <gtest/gtest.h>

#include "truth/capture_replay.h"
#include "truth/shared_data.h"

namespace outguard::truth {
namespace {

struct Difference {
  std::size_t theirs = 0; ///< seen by tshark alone
  std::size_t ours = 0;
  bool operator==(const Difference &) const = default;
};
using Differences = std::map<std::pair<std::string, std::string>, Difference>;

std::string trimmed(const std::string &text) {
  const auto first = text.find_first_not_of(" `");
  const auto last = text.find_last_not_of(" `");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

/// Rows `| capture | kind | tshark alone | we alone | whose | why |`.
Differences documented() {
  Differences all;
  std::ifstream file(OUTGUARD_DOCS "/comparisons.md");
  EXPECT_TRUE(file) << OUTGUARD_DOCS "/comparisons.md";
  for (std::string line; std::getline(file, line);) {
    std::istringstream cells(line);
    std::vector<std::string> row;
    for (std::string cell; std::getline(cells, cell, '|');) {
      row.push_back(trimmed(cell));
    }
    const auto is_number = [](const std::string &cell) {
      return !cell.empty() && cell.find_first_not_of("0123456789") == std::string::npos;
    };
    if (row.size() < 7 || !is_number(row[3]) || !is_number(row[4])) {
      continue;
    }
    EXPECT_FALSE(row[5].empty() || row[6].empty()) << "without a reason: " << line;
    const bool is_new =
        all.insert({{row[1], row[2]}, {std::stoul(row[3]), std::stoul(row[4])}}).second;
    EXPECT_TRUE(is_new) << "twice: " << line;
  }
  return all;
}

class Captures : public testing::Test {
protected:
  static void SetUpTestSuite() {
    for (const auto &row : rows_of(shared_data() / "observables.tsv")) {
      wanted_[row.at(0)][row.at(1)].insert(in_our_form(row.at(1), row.at(2)));
    }
  }
  void SetUp() override {
    if (wanted_.empty()) {
      GTEST_SKIP() << kNoData;
    }
  }
  static inline std::map<std::string, Shown> wanted_;
};

TEST_F(Captures, DifferFromTsharkAsDocumented) {
  const char *report_name = std::getenv("OUTGUARD_CAPTURES_REPORT");
  std::ofstream report(report_name != nullptr ? report_name : "/dev/null");
  Differences found;
  std::map<std::string, std::array<std::size_t, 3>> totals;
  for (const auto &[capture, kinds] : wanted_) {
    const auto path = shared_data() / "captures" / capture;
    ASSERT_TRUE(std::filesystem::exists(path)) << path;
    auto replayed = replay(path);
    EXPECT_EQ(replayed.problem, "") << capture;
    const auto &packets = replayed.counters.packets;
    EXPECT_EQ(packets.seen, packets.processed + packets.dropped_total()) << capture;
    EXPECT_EQ(replayed.counters.flows.live, 0U) << capture;
    EXPECT_EQ(replayed.counters.streams.bytes_held, 0U) << capture;
    EXPECT_EQ(replayed.counters.fragments.bytes_held, 0U) << capture;
    Shown theirs = kinds;
    for (const char *kind : {"community-id", "dns-a", "dns-aaaa", "dns-query", "http-host",
                             "http-uri", "ja3", "tls-sni"}) {
      Difference difference;
      const auto &ours = replayed.shown[kind];
      for (const auto &value : theirs[kind]) {
        const bool both = ours.contains(value);
        difference.theirs += both ? 0 : 1;
        ++totals[kind][both ? 0 : 1];
        report << (both ? "" : capture + "\ttshark\t" + kind + '\t' + value + '\n');
      }
      for (const auto &value : ours) {
        const bool both = theirs[kind].contains(value);
        difference.ours += both ? 0 : 1;
        totals[kind][2] += both ? 0 : 1;
        report << (both ? "" : capture + "\tours\t" + kind + '\t' + value + '\n');
      }
      if (difference != Difference{}) {
        found[{capture, kind}] = difference;
      }
    }
  }
  for (const auto &[kind, counts] : totals) {
    std::printf("%-12s %5zu seen by both, %4zu by tshark alone, %4zu by us alone\n", kind.c_str(),
                counts[0], counts[1], counts[2]);
  }
  auto expected = documented();
  for (const auto &[where, difference] : found) {
    const auto known = expected[where];
    EXPECT_TRUE(difference == known)
        << "| `" << where.first << "` | " << where.second << " | " << difference.theirs << " | "
        << difference.ours << " | documented: " << known.theirs << " and " << known.ours;
    expected.erase(where);
  }
  for (const auto &[where, difference] : expected) {
    ADD_FAILURE() << "documented, but there is no difference: " << where.first << " "
                  << where.second << " " << difference.theirs << " " << difference.ours;
  }
}

} // namespace
} // namespace outguard::truth
