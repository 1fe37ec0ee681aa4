#include <gtest/gtest.h>

#include "intel/intel_compiler.h"
#include "intel/intel_image.h"

namespace outguard::intel {
namespace {

constexpr Seconds kNow = 1'700'000'000;

FeedIndicator domain(const std::string &name, std::uint8_t confidence, std::int64_t until = 0) {
  FeedIndicator made;
  made.key = {IndicatorType::Domain, 0, name};
  made.confidence = confidence;
  made.valid_until = until;
  return made;
}

TEST(ImageStats, CountsIndicatorsOnceAndMentionsEach) {
  IntelCompiler compiler;
  const auto first = compiler.add_source("first").value();
  const auto second = compiler.add_source("second").value();
  const auto allowed = compiler.add_source("allowed", Role::Allowed).value();
  auto flagged = domain("flagged.com", 100);
  flagged.about.tags = {"c2", "warninglist:Top sites"};
  auto early = domain("early.com", 30);
  early.about.valid_from = kNow + 10;
  std::uint32_t line = 0;
  (void)first(domain("both.com", 80, kNow - 1), ++line); // over here, not there
  (void)second(domain("both.com", 60), ++line);
  (void)first(domain("over.com", 5, kNow - 1), ++line);
  (void)first(flagged, ++line);
  (void)second(early, ++line);
  (void)allowed(domain("fine.com", 0), ++line);
  const auto compiled = compiler.compile();
  const auto image = IntelImage::open(compiled.image);
  ASSERT_TRUE(image);
  const auto stats = image->stats(kNow);
  EXPECT_EQ(stats.indicators, 4U);
  EXPECT_EQ(stats.mentions, 5U);
  EXPECT_EQ(stats.allowed, 1U);
  EXPECT_EQ(stats.expired, 1U) << "both.com is still listed by one";
  EXPECT_EQ(stats.not_yet_valid, 1U);
  EXPECT_EQ(stats.with_end, 2U);
  EXPECT_EQ(stats.flagged, 1U);
  EXPECT_EQ(stats.image_bytes, compiled.image.size());
  ASSERT_EQ(stats.types.size(), 1U);
  EXPECT_EQ(stats.types[0].type, IndicatorType::Domain);
  EXPECT_EQ(stats.types[0].count, 4U);
  EXPECT_EQ(stats.confidence, (std::vector<std::uint64_t>{1, 0, 0, 1, 0, 0, 0, 0, 1, 1}));
  ASSERT_EQ(stats.sources.size(), 2U) << "none of an allowlist";
  EXPECT_EQ(stats.sources[0].source, GuestText("first"));
  EXPECT_EQ(stats.sources[0].listed, 3U);
  EXPECT_EQ(stats.sources[0].alone, 2U);
  EXPECT_EQ(stats.sources[0].expired, 2U);
  EXPECT_EQ(stats.sources[1].alone, 1U);
}

TEST(ImageStats, OfManySourcesTheLongestAreTold) {
  IntelCompiler compiler;
  constexpr std::size_t kSources = IntelStats::kMostSources + 3;
  for (std::size_t i = 0; i < kSources; ++i) {
    const auto name = std::to_string(i);
    const auto sink = compiler.add_source(name).value();
    (void)sink(domain("a" + name + ".com", 50), 1);
    if (i == kSources - 1) {
      (void)sink(domain("long.com", 50), 2);
    }
  }
  const auto compiled = compiler.compile();
  const auto stats = IntelImage::open(compiled.image)->stats(kNow);
  ASSERT_EQ(stats.sources.size(), IntelStats::kMostSources);
  EXPECT_EQ(stats.sources[0].listed, 2U);
  EXPECT_EQ(stats.sources_left_out, 3U);
}

} // namespace
} // namespace outguard::intel
