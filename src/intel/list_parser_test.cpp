#include <map>
#include <set>

#include <gtest/gtest.h>

#include "intel/list_parser.h"
#include "intel/report_writer.h"

namespace outguard::intel {
namespace {

struct Parsing {
  FeedReport report;
  std::map<std::string, std::uint32_t> lines; ///< indicator -> line
};

Parsing parse(std::string_view text) {
  Parsing parsing;
  const auto sink = [&](const FeedIndicator &indicator, std::uint32_t line) {
    const auto &key = indicator.key;
    const auto text_form = key_text(key.type, key.prefix, key.bytes).value_or("?");
    return parsing.lines.emplace(text_form, line).second ? Taken::Accepted : Taken::Duplicate;
  };
  const auto *raw = reinterpret_cast<const std::uint8_t *>(text.data());
  parsing.report = parse_list("feed.txt", {raw, text.size()}, ReservedPolicy::Refuse, sink);
  return parsing;
}

TEST(ListParser, CountsEveryLineOnce) {
  const auto parsing = parse("\xef\xbb\xbf# header\r\n"
                             "evil.com\r\n"
                             "\r\n"
                             "45.9.20.7\n"
                             "evil.com\n"
                             "com\n"
                             "org\n"
                             "1.2.3.4/0\n"
                             "last.sample.net");
  const auto &report = parsing.report;
  EXPECT_EQ(report.name, "feed.txt");
  EXPECT_EQ(report.problem, "");
  EXPECT_EQ(report.accepted, 3U);
  EXPECT_EQ(report.duplicates, 1U);
  EXPECT_EQ(report.comments, 2U);
  EXPECT_EQ(report.rejected, 3U);
  EXPECT_EQ(parsing.lines,
            (decltype(parsing.lines){{"evil.com", 2}, {"45.9.20.7", 4}, {"last.sample.net", 9}}));
  ASSERT_EQ(report.reasons.size(), 2U);
  EXPECT_EQ(report.reasons[0].reason, "network too broad");
  EXPECT_EQ(report.reasons[0].count, 1U);
  EXPECT_EQ(report.reasons[1].reason, "single-label name");
  EXPECT_EQ(report.reasons[1].count, 2U);
  ASSERT_EQ(report.lines.size(), 3U);
  EXPECT_EQ(report.lines[0].line, 6U);
  EXPECT_EQ(report.lines[0].reason, "single-label name");
  EXPECT_EQ(report.lines[0].text.raw(), "com");
  EXPECT_EQ(report.lines[2].line, 8U);
}

TEST(ListParser, ListsRejectsUpToACapAndCountsAll) {
  std::string text = "evil.com\n";
  for (int i = 0; i < 1000; ++i) {
    text += "com\n";
  }
  const auto report = parse(text).report;
  EXPECT_EQ(report.lines.size(), kMaxRejectsListed);
  EXPECT_EQ(report.rejected, 1000U);
  EXPECT_EQ(report.reasons.at(0).count, 1000U);
}

TEST(ListParser, AVeryLongLineIsOneRejectAndCutInTheReport) {
  const auto report = parse(std::string(kMaxLineBytes + 1, 'a') + "\nevil.com\n").report;
  EXPECT_EQ(report.accepted, 1U);
  ASSERT_EQ(report.lines.size(), 1U);
  EXPECT_EQ(report.lines[0].reason, "line too long");
  EXPECT_EQ(report.lines[0].text.raw().size(), kMaxRejectTextBytes);
}

TEST(ListParser, FilesThatAreNoListHaveAProblem) {
  EXPECT_EQ(parse("").report.problem, "empty file");
  EXPECT_EQ(parse(std::string("\x7f"
                              "ELF\0\0evil.com\n",
                              15))
                .report.problem,
            "binary data, not a list (NUL at byte 4)");
  EXPECT_EQ(parse("# only a header\n\n").report.problem,
            "no indicator in it (0 rejected, 2 comment or blank lines)");
  EXPECT_EQ(parse("<html>\n<body>\n").report.problem,
            "no indicator in it (2 rejected, 0 comment or blank lines)");
}

TEST(ListParser, ALateNulSpoilsOnlyItsLine) {
  std::string text;
  while (text.size() < 5000) {
    text += "h" + std::to_string(text.size()) + ".evil.com\n";
  }
  text += std::string("x\0y.com\n", 8) + "after.com\n";
  const auto parsing = parse(text);
  EXPECT_EQ(parsing.report.problem, "");
  EXPECT_EQ(parsing.report.rejected, 1U);
  EXPECT_TRUE(parsing.lines.contains("after.com"));
}

} // namespace
} // namespace outguard::intel
