#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>

#include <gtest/gtest.h>

#include "intel/intel_compiler.h"
#include "intel/intel_set.h"

namespace outguard::intel {
namespace {

constexpr Seconds kNow = 1'700'000'000;

std::span<const std::uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

/// An image with its bytes.
struct Owned {
  std::vector<std::uint8_t> bytes;
  IntelImage image;
};

struct Lists {
  std::string indicators, removed, allowed;
};

IntelSet::Image compile(const Lists &lists,
                        IntelCompiler::ImageKind kind = IntelCompiler::ImageKind::Whole) {
  IntelCompiler compiler;
  (void)compiler.add_feed("list", as_bytes(lists.indicators));
  (void)compiler.add_feed("removed", as_bytes(lists.removed), ReservedPolicy::Allow, Role::Removed);
  (void)compiler.add_feed("allow", as_bytes(lists.allowed), ReservedPolicy::Allow, Role::Allowed);
  auto compiled = compiler.compile(kind);
  EXPECT_EQ(compiled.report.problem, "");
  auto image = IntelImage::open(compiled.image).value();
  const auto owner = std::make_shared<Owned>(Owned{std::move(compiled.image), image});
  return {owner, &owner->image};
}
IntelSet::Image delta(const Lists &lists) {
  return compile(lists, IntelCompiler::ImageKind::Delta);
}

using Values = std::vector<std::string>;

Values domain(const IntelSet &set, std::string_view name) {
  Values values;
  set.match_domain(name, kNow, [&](IndicatorId id) {
    const auto hit = set.hit(id).value();
    values.push_back(std::string(hit.value.raw()) + "@" + std::to_string(hit.source_line));
  });
  return values;
}

std::string explained(const IntelSet &set, std::string_view value, Seconds now = kNow) {
  const auto all = set.explain(value, now);
  std::string text;
  for (const auto &one : all.indicators) {
    text += std::string(one.hit.value.raw()) + " " + to_string(one.state) + ";";
  }
  return text + (all.allowed_by ? " by " + std::string(all.allowed_by->value.raw()) : "");
}

TEST(IntelSet, AddRemoveAndAddAgainTakeEffectWithTheSwap) {
  const auto base = compile({"evil.com\nbad.org\n45.9.20.0/24\n", "", ""});
  const IntelSet plain(base);
  EXPECT_EQ(domain(plain, "www.evil.com"), Values{"evil.com@1"});
  EXPECT_EQ(domain(plain, "new.net"), Values{});

  const IntelSet added(base, delta({"new.net\n", "", ""}));
  EXPECT_EQ(domain(added, "www.new.net"), Values{"new.net@1"});
  EXPECT_EQ(domain(added, "www.evil.com"), Values{"evil.com@1"});

  const IntelSet removed(base, delta({"new.net\n", "evil.com\n45.9.20.0/24\n", ""}));
  EXPECT_EQ(domain(removed, "www.evil.com"), Values{});
  EXPECT_EQ(domain(removed, "bad.org"), Values{"bad.org@2"});
  int networks = 0;
  removed.match_address(IpAddress::parse("45.9.20.7").value(), kNow, [&](auto) { ++networks; });
  EXPECT_EQ(networks, 0);

  const IntelSet again(base, delta({"\n\nevil.com\n", "45.9.20.0/24\n", ""}));
  EXPECT_EQ(domain(again, "www.evil.com"), Values{"evil.com@3"}); // once, as the delta has it
  EXPECT_EQ(domain(again, "www.new.net"), Values{});
  EXPECT_EQ(domain(IntelSet(base), "www.evil.com"), Values{"evil.com@1"});
}

TEST(IntelSet, ADeltaMayOnlyRemoveButAnImageMayNotBeEmpty) {
  IntelCompiler compiler;
  (void)compiler.add_feed("removed", as_bytes("evil.com\n"), ReservedPolicy::Allow, Role::Removed);
  EXPECT_EQ(compiler.compile(IntelCompiler::ImageKind::Whole).report.problem,
            "no indicator in any feed");
  EXPECT_EQ(compiler.compile(IntelCompiler::ImageKind::Delta).report.problem, "");
  IntelCompiler empty;
  EXPECT_NE(empty.compile(IntelCompiler::ImageKind::Delta).report.problem, "");
}

TEST(IntelSet, IdsTellWhichImage) {
  const IntelSet set(compile({"evil.com\n", "", ""}), delta({"new.net\n", "", ""}));
  std::vector<IndicatorId> ids;
  set.match_domain("evil.com", kNow, [&](auto id) { ids.push_back(id); });
  set.match_domain("new.net", kNow, [&](auto id) { ids.push_back(id); });
  ASSERT_EQ(ids.size(), 2U);
  EXPECT_NE(ids[0], ids[1]);
  EXPECT_EQ(set.hit(ids[0])->value.raw(), "evil.com");
  EXPECT_EQ(set.hit(ids[1])->value.raw(), "new.net");
  EXPECT_EQ(set.sources(ids[1]), std::vector{GuestText("list:1")});
  const IntelSet alone(set.base());
  EXPECT_FALSE(alone.hit(ids[1]));
  EXPECT_TRUE(alone.sources(ids[1]).empty());
}

TEST(IntelSet, ExplainsWhyAndWhyNot) {
  IntelCompiler compiler;
  const auto sink = compiler.add_source("s").value();
  FeedIndicator given;
  given.key = {IndicatorType::Domain, 0, "soon.com"};
  given.about.valid_from = kNow + 1;
  (void)sink(given, 1);
  given.key.bytes = "late.com";
  given.about = {};
  given.valid_until = kNow;
  (void)sink(given, 2);
  given.key = {IndicatorType::FileMd5, 0, "00112233445566778899aabbccddeeff"};
  given.valid_until = 0;
  (void)sink(given, 3);
  (void)compiler.add_feed("list", as_bytes("evil.com\nours.com\nhttp://ours.com/x\n45.9.20.7\n"
                                           "45.9.20.7:443\ngone.com\n"));
  (void)compiler.add_feed("allow", as_bytes("ours.com\n"), ReservedPolicy::Allow, Role::Allowed);
  auto bytes = compiler.compile().image;
  const auto base = std::make_shared<const IntelImage>(IntelImage::open(bytes).value());
  const IntelSet set(base, delta({"", "gone.com\n", "45.0.0.0/8\n"}));
  EXPECT_EQ(explained(set, "www.evil.com"), "evil.com matches;");
  EXPECT_EQ(explained(set, "evil.org"), "");
  EXPECT_EQ(explained(set, "soon.com"), "soon.com not_yet_valid;");
  EXPECT_EQ(explained(set, "soon.com", kNow + 1), "soon.com matches;");
  EXPECT_EQ(explained(set, "late.com"), "late.com expired;");
  EXPECT_EQ(explained(set, "late.com", kNow - 1), "late.com matches;");
  EXPECT_EQ(explained(set, "gone.com"), "gone.com removed;");
  EXPECT_EQ(explained(set, "a.ours.com"), "ours.com allowed; by ours.com");
  EXPECT_EQ(explained(set, "b.a.ours.com."), "ours.com allowed; by ours.com");
  EXPECT_EQ(explained(set, "http://ours.com/x"), "http://ours.com/x allowed; by ours.com");
  EXPECT_EQ(explained(set, "45.9.20.7:443"),
            "45.9.20.7:443 allowed;45.9.20.7 allowed; by 45.0.0.0/8");
  EXPECT_EQ(explained(set, "45.1.1.1"), " by 45.0.0.0/8"); // not listed, and allowed anyhow
  EXPECT_EQ(explained(set, "00112233445566778899AABBCCDDEEFF"),
            "00112233445566778899aabbccddeeff matches;");
  EXPECT_EQ(set.explain("evil.com", kNow).indicators[0].sources, std::vector{GuestText("list:1")});
}

/// What `explain` names is the mention that is in force.
TEST(IntelSet, ExplainsByTheMentionInForce) {
  IntelCompiler compiler;
  FeedIndicator given;
  given.key = {IndicatorType::Domain, 0, "evil.com"};
  given.confidence = 100;
  given.valid_until = kNow - 1;
  (void)compiler.add_source("old").value()(given, 1);
  given.confidence = 10;
  given.valid_until = 0;
  (void)compiler.add_source("new").value()(given, 1);
  auto bytes = compiler.compile().image;
  const IntelSet set(std::make_shared<const IntelImage>(IntelImage::open(bytes).value()));
  const auto all = set.explain("evil.com", kNow);
  ASSERT_EQ(all.indicators.size(), 1U);
  EXPECT_EQ(all.indicators[0].state, IndicatorState::Matches);
  EXPECT_EQ(all.indicators[0].hit.source.raw(), "new");
}

TEST(IntelSet, ExplainsNamesOfOtherScriptsInBothForms) {
  const IntelSet set(compile({"b\xc3\xbc"
                              "cher.com\nhttp://xn--bcher-kva.com/x\n",
                              "", ""}));
  const auto given = set.explain("B\xc3\x9c"
                                 "CHER.com",
                                 kNow);
  ASSERT_EQ(given.indicators.size(), 1U);
  EXPECT_EQ(given.indicators[0].hit.value.raw(), "xn--bcher-kva.com");
  EXPECT_EQ(given.a_labels.raw(), "xn--bcher-kva.com");
  EXPECT_EQ(given.u_labels.raw(), "b\xc3\xbc"
                                  "cher.com");
  const auto url = set.explain("http://xn--bcher-kva.com/x", kNow);
  EXPECT_EQ(url.indicators.size(), 1U);
  EXPECT_EQ(url.a_labels.raw(), "") << "it is given as it is on the wire";
  EXPECT_EQ(url.u_labels.raw(), "b\xc3\xbc"
                                "cher.com");
  EXPECT_EQ(set.explain("http://b\xc3\xbc"
                        "cher.com/x",
                        kNow)
                .indicators.size(),
            1U);
  EXPECT_EQ(set.explain("evil.com", kNow).u_labels.raw(), "");
  EXPECT_TRUE(set.explain("\xff.com", kNow).indicators.empty());
}

/// Readers take what the pointer holds; each set they see is whole.
TEST(IntelSet, ReadersNeverSeeHalfAChange) {
  const auto base = compile({"evil.com\n", "", ""});
  std::atomic<std::shared_ptr<const IntelSet>> current(std::make_shared<const IntelSet>(base));
  std::atomic<bool> done = false;
  std::atomic<std::uint64_t> wrong = 0, reads = 0;
  std::thread reader([&] {
    while (!done) {
      const auto set = current.load();
      const auto told = domain(*set, "a.evil.com").size() + domain(*set, "a.moved.com").size();
      wrong += told == 1 ? 0 : 1;
      ++reads;
    }
  });
  const auto start = std::chrono::steady_clock::now();
  constexpr int kChanges = 100;
  for (int i = 0; i < kChanges || reads < 100; ++i) {
    current = i % 2 == 0
                  ? std::make_shared<const IntelSet>(base, delta({"moved.com\n", "evil.com\n", ""}))
                  : std::make_shared<const IntelSet>(base);
  }
  const auto spent = std::chrono::steady_clock::now() - start;
  done = true;
  reader.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_LT(spent / kChanges, std::chrono::milliseconds(100));
}

TEST(IntelSet, StatsCountWhatIsInForce) {
  const auto base = compile({"a.com\nb.com\n45.9.20.7\n", "", "c.com\n"});
  const auto alone = IntelSet(base).stats(kNow);
  EXPECT_EQ(alone.indicators, 3U);
  const IntelSet set(base, delta({"b.com\n45.9.20.8\nhttp://d.com/x\n", "a.com\nnone.com\n", ""}));
  const auto all = set.stats(kNow);
  EXPECT_EQ(all.indicators, 4U);
  EXPECT_EQ(all.mentions, 4U);
  EXPECT_EQ(all.allowed, 1U);
  EXPECT_GT(all.image_bytes, alone.image_bytes);
  std::string types;
  for (const auto &one : all.types) {
    types += std::string(to_string(one.type)) + " " + std::to_string(one.count) + ";";
  }
  EXPECT_EQ(types, "address 2;domain 1;url 1;");
  EXPECT_EQ(std::accumulate(all.confidence.begin(), all.confidence.end(), std::uint64_t{0}), 4U);
  ASSERT_EQ(all.sources.size(), 2U);
  EXPECT_EQ(all.sources[0].listed, 3U) << "those of the delta are more";
  EXPECT_EQ(all.sources[1].listed, 1U);
  const auto without = IntelSet(base, delta({"", "a.com\nb.com\n", ""})).stats(kNow);
  EXPECT_EQ(without.indicators, 1U);
  EXPECT_EQ(without.types.size(), 1U);
}

} // namespace
} // namespace outguard::intel
