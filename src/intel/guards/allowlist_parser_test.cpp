#include <gtest/gtest.h>

#include "intel/guards/allowlist_parser.h"
#include "intel/intel_compiler.h"
#include "intel/intel_image.h"

namespace outguard::intel {
namespace {

constexpr std::int64_t kNow = 1'767'225'600; // 2026-01-01T00:00:00Z

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

/// What one line gives: "evil.com until 0: comment", or the reason of its reject.
std::string outcome(std::string_view line) {
  std::string text;
  const auto report = parse_allowlist(
      "allow.txt", bytes_of(line), kNow, [&](const FeedIndicator &entry, std::uint32_t) {
        text = key_text(entry.key.type, entry.key.prefix, entry.key.bytes).value_or("?") +
               " until " + std::to_string(entry.valid_until) + ": " + entry.about.description;
        return Taken::Accepted;
      });
  return report.lines.empty() ? text : "reject: " + report.lines.at(0).reason;
}

TEST(AllowlistParser, ValuesCommentsAndDates) {
  EXPECT_EQ(outcome("45.9.20.7"), "45.9.20.7 until 0: ");
  EXPECT_EQ(outcome("  Our.Name.com \t# our own\r\n"), "our.name.com until 0: our own");
  EXPECT_EQ(outcome("10.0.0.0/8 # the lab"), "10.0.0.0/8 until 0: the lab");
  EXPECT_EQ(outcome("http://a.com/x#y # why"), "http://a.com/x until 0: why");
  EXPECT_EQ(outcome("a.com until=2026-01-01"), "a.com until 1767312000: "); // that day's end
  EXPECT_EQ(outcome("a.com until=2028-02-29 # leap"), "a.com until 1835481600: leap");
}

TEST(AllowlistParser, WrongLinesAreTold) {
  EXPECT_EQ(outcome("a.com until=2025-12-31"), "reject: expired");
  EXPECT_EQ(outcome("a.com until=2026-02-29"), "reject: malformed time");
  EXPECT_EQ(outcome("a.com until=tomorrow"), "reject: malformed time");
  EXPECT_EQ(outcome("a.com until=2026-1-1x"), "reject: malformed time");
  EXPECT_EQ(outcome("a.com until=-026-01-01"), "reject: malformed time");
  EXPECT_EQ(outcome("a.com b.com"), "reject: not until=DATE or a comment");
  EXPECT_EQ(outcome("/*"), "reject: path too short to mean anything on every host");
  EXPECT_EQ(outcome("com"), "reject: single-label name");
  EXPECT_EQ(outcome("*.com"), "reject: single-label name");
  EXPECT_EQ(outcome("0.0.0.0/0"), "reject: network too broad");
  EXPECT_EQ(outcome(std::string(5000, 'a')), "reject: line too long");
}

TEST(AllowlistParser, APublicSuffixIsAllowedWhenThatIsSpelledOut) {
  const std::string refusal = "reject: public suffix: *.NAME allows everybody's names under it";
  for (const std::string suffix : {"co.uk", "github.io", "googleapis.com", "kobe.jp"}) {
    EXPECT_EQ(outcome(suffix), refusal);
    EXPECT_EQ(outcome("." + suffix + " until=2026-02-01 # slip"), refusal);
    EXPECT_EQ(outcome("*." + suffix + " # meant"), suffix + " until 0: meant");
  }
  EXPECT_EQ(outcome("bbc.co.uk"), "bbc.co.uk until 0: ");
  EXPECT_EQ(outcome("http://co.uk/x"), "http://co.uk/x until 0: ")
      << "a host, not what is under it";
}

TEST(AllowlistParser, CountsAndGoesIntoTheImage) {
  IntelCompiler compiler;
  const std::string_view feed = "evil.com\nworse.com\n";
  EXPECT_EQ(compiler.add_feed("feed.txt", bytes_of(feed)).accepted, 2U);
  const auto sink = compiler.add_source("allow.txt", Role::Allowed);
  ASSERT_TRUE(sink);
  const auto report = parse_allowlist(
      "allow.txt",
      bytes_of("# ours\n\nevil.com until=2026-01-31 # tested\nworse.com until=2020-01-01\n"), kNow,
      *sink);
  EXPECT_EQ(report.accepted, 1U);
  EXPECT_EQ(report.comments, 2U);
  EXPECT_EQ(report.rejected, 1U);
  EXPECT_EQ(report.problem, "");
  const auto compiled = compiler.compile();
  const auto image = IntelImage::open(compiled.image);
  ASSERT_TRUE(image);
  const auto entry = image->allowed_by("www.evil.com", kNow);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->comment.printable(), "tested");
  EXPECT_EQ(entry->line, 3U);
  EXPECT_FALSE(image->allowed_by("www.evil.com", kNow + 40L * 86400)) << "its time is over";
  EXPECT_FALSE(image->allowed_by("worse.com", kNow));
}

/// What is accepted has an effect, of whatever type it is.
TEST(AllowlistParser, EveryTypeOfEntryAllowsItself) {
  const std::string md5(32, 'a'), sha256(64, 'b'), ja4 = "t13d1516h2_8daaf6152771_b186095e22b6";
  const std::string lines = "http://cdn.com/x?y\nother.com/z\n/gate/panel.php\n45.9.20.7:443\n" +
                            md5 + "\n" + sha256 + "\n" + ja4 + "\n";
  IntelCompiler compiler;
  EXPECT_EQ(compiler.add_feed("feed.txt", bytes_of("evil.com\n")).accepted, 1U);
  const auto sink = compiler.add_source("allow.txt", Role::Allowed);
  ASSERT_TRUE(sink);
  ASSERT_EQ(parse_allowlist("allow.txt", bytes_of(lines), kNow, *sink).accepted, 7U);
  const auto compiled = compiler.compile();
  const auto image = IntelImage::open(compiled.image);
  ASSERT_TRUE(image);
  const auto allowed = [&](std::string_view value) {
    return image->allowed_by_value(value, kNow).has_value();
  };
  for (const auto &value :
       {std::string("HTTP://CDN.com/x?y"), std::string("https://other.com/z"),
        std::string("other.com/z"), std::string("http://any.com/gate/panel.php"),
        std::string("/gate/panel.php"), std::string("45.9.20.7:443"), md5, std::string(32, 'A'),
        sha256, ja4}) {
    EXPECT_TRUE(allowed(value)) << value;
  }
  for (const auto &value :
       {std::string("https://cdn.com/x?y"), std::string("http://cdn.com/x"),
        std::string("http://cdn.com/"), std::string("cdn.com"), std::string("45.9.20.7"),
        std::string("45.9.20.7:80"), std::string(32, 'b'), std::string(64, 'a')}) {
    EXPECT_FALSE(allowed(value)) << value;
  }
}

TEST(AllowlistParser, AStarMakesAUrlOrPathAPrefix) {
  EXPECT_EQ(outcome("http://a.com/x/*"), "http://a.com/x/ until 0: ");
  IntelCompiler compiler;
  EXPECT_EQ(compiler.add_feed("feed.txt", bytes_of("evil.com\n")).accepted, 1U);
  const auto sink = compiler.add_source("allow.txt", Role::Allowed);
  ASSERT_TRUE(sink);
  const std::string_view lines =
      "http://cdn.com/kit/*\nwhole.com/*\n/our-agent/*\n45.9.20.7/files/* until=2026-01-31\n";
  ASSERT_EQ(parse_allowlist("allow.txt", bytes_of(lines), kNow, *sink).accepted, 4U);
  const auto compiled = compiler.compile();
  const auto image = IntelImage::open(compiled.image);
  ASSERT_TRUE(image);
  for (const std::string_view value :
       {"http://cdn.com/kit/", "http://CDN.com/kit/a/b?c", "https://whole.com/", "whole.com/any",
        "http://any.com/our-agent/7", "/our-agent/7", "http://45.9.20.7/files/a"}) {
    EXPECT_TRUE(image->allowed_by_value(value, kNow)) << value;
  }
  for (const std::string_view value :
       {"https://cdn.com/kit/a", "http://cdn.com/kit", "http://cdn.com/other/a", "cdn.com",
        "whole.com", "http://sub.whole.com/", "http://any.com/a/our-agent/7", "45.9.20.7"}) {
    EXPECT_FALSE(image->allowed_by_value(value, kNow)) << value;
  }
  EXPECT_FALSE(image->allowed_by_value("http://45.9.20.7/files/a", kNow + 40L * 86400));
  std::size_t matches = 0;
  image->match_url("http://cdn.com/kit/a", kNow, [&](IndicatorId) { ++matches; });
  EXPECT_EQ(matches, 0U) << "an allowlist accuses nobody";
}

} // namespace
} // namespace outguard::intel
