#include "intel/index_testing.h"

namespace outguard::intel {
namespace {

TEST(IndexBuilder, KeepsOneMentionASourceAndScope) {
  IndexBuilder builder(kSeed);
  const auto a = builder.add_source("a").value();
  const auto b = builder.add_source("b").value();
  EXPECT_EQ(builder.add(evil(), a, 1), Added::New);
  EXPECT_EQ(builder.add(evil(), a, 2), Added::Duplicate);
  EXPECT_EQ(builder.add(evil(MatchScope::WithSubdomains), a, 3), Added::Merged);
  EXPECT_EQ(builder.add(evil(), a, 4), Added::Duplicate);
  EXPECT_EQ(builder.add(evil(), b, 5), Added::Merged);
  EXPECT_EQ(builder.count(Role::Indicator), 1U);
}

TEST(IndexBuilder, MentionsOfOneKeyAreCapped) {
  IndexBuilder builder(kSeed);
  for (std::uint32_t i = 0; i < kMaxMentions; ++i) {
    ASSERT_NE(builder.add(evil(), builder.add_source("s").value(), i), Added::Full);
  }
  EXPECT_EQ(builder.add(evil(), builder.add_source("s").value(), 0), Added::Full);
  const auto bytes = builder.build().value();
  const auto image = IntelImage::open(bytes).value();
  image.match_domain("evil.com", kNow,
                     [&](auto id) { EXPECT_EQ(image.sources(id).size(), kMaxMentions); });
}

TEST(IndexBuilder, TheSurestMentionIsToldFirst) {
  IndexBuilder builder(kSeed);
  for (const auto confidence : std::vector<std::uint8_t>{10, 90, 50}) {
    auto given = evil();
    given.confidence = confidence;
    (void)builder.add(given, builder.add_source(std::to_string(confidence)).value(), 1);
  }
  const auto bytes = builder.build().value();
  const auto image = IntelImage::open(bytes).value();
  image.match_domain("evil.com", kNow, [&](auto id) {
    EXPECT_EQ(image.hit(id)->confidence, 90);
    EXPECT_EQ(image.sources(id),
              (std::vector{GuestText("90:1"), GuestText("50:1"), GuestText("10:1")}));
  });
}

TEST(IndexBuilder, RefusesKeysThatAreNoneOfTheirType) {
  Index index;
  EXPECT_EQ(index.add(indicator(IndicatorType::Ja3, "abc")), Added::BadValue);
  EXPECT_EQ(index.add(indicator(IndicatorType::Ja3, std::string(32, 'g'))), Added::BadValue);
  EXPECT_EQ(index.add(indicator(IndicatorType::FileSha256, std::string(40, 'a'))), Added::BadValue);
  EXPECT_EQ(index.add(indicator(IndicatorType::Address, "12345")), Added::BadValue);
  EXPECT_EQ(index.add({{IndicatorType::Network, 32, "1234"}, {}, 0, 0, {}}), Added::BadValue);
  EXPECT_EQ(index.add(indicator(IndicatorType::Endpoint, "1234")), Added::BadValue);
  EXPECT_EQ(index.add(indicator(IndicatorType::Url, "x.com")), Added::BadValue);
  EXPECT_EQ(index.add(indicator(IndicatorType::Url, "x.com/" + std::string(4096, 'a'))),
            Added::BadValue);
  EXPECT_EQ(index.builder().count(Role::Indicator), 0U);
}

// ---- Time -------------------------------------------------------------------------------

TEST(IndexBuilder, ValidityEndsAtItsSecondAndBeginsAtIts) {
  Index index;
  auto given = evil();
  given.valid_until = kNow;
  given.about.valid_from = kNow - 10;
  index.add(given);
  EXPECT_EQ(index.domain("evil.com", kNow - 11), Values{});
  EXPECT_EQ(index.domain("evil.com", kNow - 10), Values{"evil.com"});
  EXPECT_EQ(index.domain("evil.com", kNow - 1), Values{"evil.com"});
  EXPECT_EQ(index.domain("evil.com", kNow), Values{});
  EXPECT_EQ(index.domain("evil.com", kAnyTime), Values{"evil.com"});
  EXPECT_EQ(index.image().state(IndicatorId{0}, kNow), IndicatorState::Expired);
  EXPECT_EQ(index.image().state(IndicatorId{0}, kNow - 11), IndicatorState::NotYetValid);
}

TEST(IndexBuilder, TimesOutsideTheirRangeBecomeTheNearest) {
  EXPECT_EQ(stored_time(0), 0U);
  EXPECT_EQ(stored_time(-5), 1U);
  EXPECT_EQ(stored_time(INT64_MIN), 1U);
  EXPECT_EQ(stored_time(UINT32_MAX), UINT32_MAX);
  EXPECT_EQ(stored_time(INT64_MAX), UINT32_MAX);
  Index index;
  auto given = evil();
  given.valid_until = -1; // 1969: over, not without end
  index.add(given);
  EXPECT_EQ(index.domain("evil.com"), Values{});
}

TEST(IndexBuilder, AnExpiredMentionDoesNotHideOneInForce) {
  Index index;
  auto given = evil();
  given.confidence = 100;
  given.valid_until = kNow - 1;
  index.add(given);
  const auto other = index.builder().add_source("other").value();
  (void)index.builder().add(evil(MatchScope::WithSubdomains), other, 7);
  std::optional<IndicatorHit> hit;
  const auto &image = index.image();
  image.match_domain("evil.com", kNow, [&](auto id) { hit = image.hit(id); });
  ASSERT_TRUE(hit);
  EXPECT_EQ(hit->source.raw(), "other");
  image.match_domain("evil.com", kNow - 2, [&](auto id) { hit = image.hit(id); });
  EXPECT_EQ(hit->source.raw(), "feed");
}

TEST(IndexBuilder, ARepeatedLineWidensValidity) {
  Index index;
  auto given = evil();
  given.valid_until = kNow - 1;
  given.about.valid_from = kNow - 5;
  EXPECT_EQ(index.add(given), Added::New);
  given.valid_until = kNow + 1;
  given.about.valid_from = kNow - 2;
  EXPECT_EQ(index.add(given), Added::Duplicate);
  EXPECT_EQ(index.domain("evil.com").size(), 1U);
  EXPECT_EQ(index.domain("evil.com", kNow - 5).size(), 1U);
  EXPECT_EQ(index.domain("evil.com", kNow - 6).size(), 0U);
  given.valid_until = 0;
  given.about = {};
  EXPECT_EQ(index.add(given), Added::Duplicate);
  EXPECT_EQ(index.domain("evil.com", kNow * 2).size(), 1U);
  EXPECT_EQ(index.domain("evil.com", 1).size(), 1U);
}

// ---- What sources say -------------------------------------------------------------------

TEST(IndexBuilder, EverythingSaidComesBack) {
  Index index;
  auto given = evil();
  given.confidence = 42;
  given.valid_until = kNow + 9;
  given.about = {"indicator--1", "a family", {"one", "two"}, Tlp::AmberStrict, 2, 11, 22, 33};
  index.add(given);
  const auto hit = index.hit();
  EXPECT_EQ(hit.confidence, 42);
  EXPECT_EQ(hit.valid_until, kNow + 9);
  EXPECT_EQ(hit.id.raw(), "indicator--1");
  EXPECT_EQ(hit.about.raw(), "a family");
  EXPECT_EQ(hit.tags, (std::vector{GuestText("one"), GuestText("two")}));
  EXPECT_EQ(hit.tlp, Tlp::AmberStrict);
  EXPECT_EQ(hit.severity, 2);
  EXPECT_EQ(hit.first_seen, 11);
  EXPECT_EQ(hit.last_seen, 22);
  EXPECT_EQ(hit.valid_from, 33);
}

TEST(IndexBuilder, TextsAreCutAndTagsCapped) {
  Index index;
  auto given = evil();
  given.about.id = std::string(1000, 'i');
  given.about.description = std::string(1000, 'd');
  for (std::size_t i = 0; i < 40; ++i) {
    given.about.tags.push_back(std::to_string(i) + std::string(100, 't'));
  }
  given.about.severity = 200;
  index.add(given);
  const auto hit = index.hit();
  EXPECT_EQ(hit.id.raw(), std::string(kMaxIdBytes, 'i'));
  EXPECT_EQ(hit.about.raw(), std::string(kMaxAboutBytes, 'd'));
  ASSERT_EQ(hit.tags.size(), kMaxTags);
  EXPECT_EQ(hit.tags[3].raw(), "3" + std::string(kMaxTagBytes - 1, 't'));
  EXPECT_EQ(hit.severity, 3);
}

TEST(IndexBuilder, TextsOfAFeedAreStoredOnce) {
  const auto size = [](bool with_about) {
    Index index;
    for (std::size_t i = 0; i < 1000; ++i) {
      auto given = indicator(IndicatorType::Domain, std::to_string(1000 + i) + ".evil.com");
      if (with_about) {
        given.about.description = "one family of malware, told with each of its names";
        given.about.tags = {"tag", i % 2 == 0 ? "even" : "odd"};
        given.about.tlp = Tlp::Green;
      }
      index.add(given);
    }
    return index.image().image_bytes();
  };
  EXPECT_LT(size(true), size(false) + 256);
}

TEST(IndexBuilder, DifferentSayingsStayApart) {
  Index index;
  for (std::size_t i = 0; i < 500; ++i) {
    auto given = indicator(IndicatorType::Domain, std::to_string(i) + ".evil.com");
    given.about.id = i % 3 == 0 ? "" : "id" + std::to_string(i / 2);
    given.about.description = std::to_string(i % 7);
    given.about.tags.assign(i % 5, "t" + std::to_string(i % 11));
    given.about.first_seen = static_cast<std::int64_t>(i % 13);
    index.add(given);
  }
  const auto &image = index.image();
  for (std::size_t i = 0; i < 500; ++i) {
    std::size_t told = 0;
    image.match_domain(std::to_string(i) + ".evil.com", kNow, [&](auto id) {
      ++told;
      const auto hit = image.hit(id).value();
      EXPECT_EQ(hit.id.raw(), i % 3 == 0 ? "" : "id" + std::to_string(i / 2));
      EXPECT_EQ(hit.about.raw(), std::to_string(i % 7));
      EXPECT_EQ(hit.tags, std::vector(i % 5, GuestText("t" + std::to_string(i % 11))));
      EXPECT_EQ(hit.first_seen, static_cast<std::int64_t>(i % 13));
    });
    ASSERT_EQ(told, 1U) << i;
  }
}

// ---- URLs -------------------------------------------------------------------------------

TEST(IndexBuilder, ARepeatedLineStoresNothing) {
  const auto say = [](int i) {
    auto given =
        indicator(IndicatorType::Url, i % 2 == 0 ? "a.com/x/" : "b.com/y/", MatchScope::Prefix);
    given.about.id = "event-" + std::to_string(i);
    given.about.tags = {"tag-" + std::to_string(i)};
    return given;
  };
  Index index;
  EXPECT_EQ(index.add(say(0)), Added::New);
  EXPECT_EQ(index.add(say(1)), Added::New);
  const auto bytes = index.image().image_bytes();
  for (int i = 2; i < 1000; ++i) {
    ASSERT_EQ(index.add(say(i)), Added::Duplicate);
  }
  EXPECT_EQ(index.image().image_bytes(), bytes);
  EXPECT_EQ(index.hit().id.raw(), "event-0");
}

TEST(IndexBuilder, RepeatsAreFoundHoweverLongAgoTheirKeyWas) {
  IndexBuilder builder(kSeed);
  const auto first = builder.add_source("a").value(), second = builder.add_source("b").value();
  const auto key = [](std::uint32_t i) {
    return indicator(IndicatorType::Domain, "host" + std::to_string(i) + ".evil.com");
  };
  constexpr std::uint32_t kKeys = 20'000; // the table grows five times
  for (std::uint32_t i = 0; i < kKeys; ++i) {
    ASSERT_EQ(builder.add(key(i), first, i), Added::New) << i;
    ASSERT_EQ(builder.add(key(i), first, i), Added::Duplicate) << i;
    ASSERT_EQ(builder.add(key(i / 2), first, i), Added::Duplicate) << i;
    if (i % 2 == 0) {
      ASSERT_EQ(builder.add(key(i / 2), second, i), Added::Merged) << i;
      ASSERT_EQ(builder.add(key(i / 4), second, i), Added::Duplicate) << i;
    }
  }
  EXPECT_EQ(builder.count(Role::Indicator), kKeys);
  EXPECT_EQ(builder.add(key(7), first, 0, Role::Allowed), Added::New) << "another role";
}

TEST(IndexBuilder, AllowedIsWhatAnEntryCovers) {
  Index index;
  index.add(evil());
  auto entry = evil(MatchScope::WithSubdomains);
  entry.key.bytes = "good.com";
  entry.about.description = "ours";
  entry.valid_until = kNow + 1;
  EXPECT_EQ(index.add(entry, Role::Allowed), Added::New);
  entry.key.bytes = "only.com";
  entry.scope = MatchScope::Exact;
  index.add(entry, Role::Allowed);
  index.add(network("10.0.0.0", 8), Role::Allowed);
  index.add(network("45.9.20.7", 32), Role::Allowed);
  EXPECT_EQ(index.builder().count(Role::Indicator), 1U);
  EXPECT_EQ(index.builder().count(Role::Allowed), 4U);
  const auto &image = index.image();
  const auto allowed = [&](std::string_view value, Seconds now = kNow) {
    const auto by = image.allowed_by_value(value, now);
    return by ? std::string(by->value.raw()) : std::string();
  };
  EXPECT_EQ(allowed("good.com"), "good.com");
  EXPECT_EQ(allowed("www.GOOD.com."), "good.com");
  EXPECT_EQ(allowed("notgood.com"), "");
  EXPECT_EQ(allowed("only.com"), "only.com");
  EXPECT_EQ(allowed("www.only.com"), "");
  EXPECT_EQ(allowed("good.com", kNow + 1), "");
  EXPECT_EQ(allowed("http://www.good.com/x"), "good.com");
  EXPECT_EQ(allowed("10.200.0.1"), "10.0.0.0/8");
  EXPECT_EQ(allowed("10.200.0.1:443"), "10.0.0.0/8");
  EXPECT_EQ(allowed("http://10.200.0.1/"), "10.0.0.0/8");
  EXPECT_EQ(allowed("11.0.0.1"), "");
  EXPECT_EQ(allowed("45.9.20.7"), "45.9.20.7");
  EXPECT_EQ(allowed("evil.com"), "");
  EXPECT_EQ(image.allowed_by("good.com", kNow)->comment.raw(), "ours");
  EXPECT_EQ(image.allowed_by("good.com", kNow)->source.raw(), "feed");
  EXPECT_EQ(image.allowed_by("good.com", kNow)->line, 2U);
  EXPECT_EQ(image.allowed_by("good.com", kNow)->valid_until, kNow + 1);
  // An allowlist matches nothing.
  EXPECT_EQ(index.domain("good.com"), Values{});
  EXPECT_EQ(index.address("10.0.0.1"), Values{});
}

/// A seed that the author of a feed knows: refused, and neither endless nor wrong.
TEST(IndexBuilder, KeysThatAllCollideAreRefused) {
  IndexBuilder builder({0, 0}); // the multiplier 1 folds nothing
  const auto source = builder.add_source("s").value();
  for (std::uint32_t i = 0; i < 4096; ++i) {
    (void)builder.add(
        {{IndicatorType::Address, 0, {static_cast<char>(i & 255), static_cast<char>(i >> 8), 1, 1}},
         {},
         0,
         0,
         {}},
        source, 1);
  }
  const auto built = builder.build();
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().code, ErrorCode::LimitReached);
}

} // namespace
} // namespace outguard::intel
