#include <cstddef>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "intel/intel_compiler.h"
#include "intel/intel_image.h"

namespace outguard::intel {
namespace {

constexpr Seconds kNow = 1'700'000'000;
constexpr HashSeed kSeed{0x1234567890abcdef, 0xfedcba9876543211};

std::span<const std::uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

std::vector<std::uint8_t> compile(const std::map<std::string, std::string> &feeds) {
  IntelCompiler compiler(kSeed);
  for (const auto &[name, text] : feeds) {
    EXPECT_EQ(compiler.add_feed(name, as_bytes(text), ReservedPolicy::Allow).problem, "");
  }
  auto compiled = compiler.compile();
  EXPECT_EQ(compiled.report.problem, "");
  return compiled.image;
}

FeedIndicator domain(std::string name, MatchScope scope) {
  return {{IndicatorType::Domain, 0, std::move(name)}, scope, 0, 0, {}};
}

using Feeds = std::map<std::string, std::string>;

/// An image and look-ups that give "value" lists.
class Intel {
public:
  explicit Intel(const Feeds &feeds)
      : bytes_(compile(feeds)), image_(IntelImage::open(bytes_).value()) {}

  [[nodiscard]] std::vector<std::string> address(std::string_view text) const {
    std::vector<std::string> out;
    image_.match_address(IpAddress::parse(text).value(), kNow, [&](auto id) { add(out, id); });
    return out;
  }
  [[nodiscard]] std::vector<std::string> endpoint(std::string_view text) const {
    std::vector<std::string> out;
    image_.match_endpoint(Endpoint::parse(text).value(), kNow, [&](auto id) { add(out, id); });
    return out;
  }
  [[nodiscard]] std::vector<std::string> domain(std::string_view text) const {
    std::vector<std::string> out;
    image_.match_domain(text, kNow, [&](auto id) { add(out, id); });
    return out;
  }
  [[nodiscard]] std::vector<std::string> url(std::string_view text) const {
    std::vector<std::string> out;
    image_.match_url(text, kNow, [&](auto id) { add(out, id); });
    return out;
  }
  [[nodiscard]] const IntelImage &image() const { return image_; }

  Intel(const Intel &) = delete;
  Intel &operator=(const Intel &) = delete;

private:
  void add(std::vector<std::string> &out, IndicatorId id) const {
    out.emplace_back(image_.hit(id).value().value.raw());
  }

  std::vector<std::uint8_t> bytes_;
  IntelImage image_;
};

using Values = std::vector<std::string>;

TEST(IntelImage, MatchesAddressesAndEveryNetworkAroundThem) {
  const Intel intel(Feeds{{"a.txt", "45.9.20.7\n45.9.20.0/24\n45.9.0.0/16\n45.9.20.128/25\n"
                                    "2606:4700::/32\n2606:4700::7\n2606:4700:0:1::/64\n"}});
  EXPECT_EQ(intel.address("45.9.20.7"), (Values{"45.9.20.7", "45.9.20.0/24", "45.9.0.0/16"}));
  EXPECT_EQ(intel.address("45.9.20.200"),
            (Values{"45.9.20.128/25", "45.9.20.0/24", "45.9.0.0/16"}));
  EXPECT_EQ(intel.address("45.9.21.7"), Values{"45.9.0.0/16"});
  EXPECT_EQ(intel.address("45.10.0.0"), Values{});
  EXPECT_EQ(intel.address("::ffff:45.9.21.7"), Values{"45.9.0.0/16"});
  EXPECT_EQ(intel.address("2606:4700::7"), (Values{"2606:4700::7", "2606:4700::/32"}));
  EXPECT_EQ(intel.address("2606:4700:0:1::5"), (Values{"2606:4700:0:1::/64", "2606:4700::/32"}));
  EXPECT_EQ(intel.address("2606:4701::7"), Values{});
}

TEST(IntelImage, EndpointsNeedTheirPort) {
  const Intel intel(Feeds{{"a.txt", "45.9.20.7:443\n[2606:4700::7]:53\n"}});
  EXPECT_EQ(intel.endpoint("45.9.20.7:443"), Values{"45.9.20.7:443"});
  EXPECT_EQ(intel.endpoint("45.9.20.7:444"), Values{});
  EXPECT_EQ(intel.endpoint("[2606:4700::7]:53"), Values{"[2606:4700::7]:53"});
  EXPECT_EQ(intel.address("45.9.20.7"), Values{});
}

TEST(IntelImage, DomainsMeanThemselvesAndTheNamesUnderThem) {
  const Intel intel(Feeds{{"a.txt", "evil.com\nbad.evil.com\n"}});
  EXPECT_EQ(intel.domain("evil.com"), Values{"evil.com"});
  EXPECT_EQ(intel.domain("EVIL.com."), Values{"evil.com"});
  EXPECT_EQ(intel.domain("x.y.bad.evil.com"), (Values{"bad.evil.com", "evil.com"}));
  EXPECT_EQ(intel.domain("notevil.com"), Values{});
  EXPECT_EQ(intel.domain("evil.com.org"), Values{});
  EXPECT_EQ(intel.domain("com"), Values{});
  EXPECT_EQ(intel.domain(""), Values{});
  EXPECT_EQ(intel.domain("..evil.com"), Values{"evil.com"});
  EXPECT_EQ(intel.domain(std::string(300, 'a') + ".evil.com"), Values{"evil.com"});
}

TEST(IntelImage, EveryByteIsLoweredAsItShouldBe) {
  for (std::size_t shift = 0; shift < 9; ++shift) {
    std::string given(shift, 'X'), wanted(shift, 'x');
    for (int c = 0; c < 256; ++c) {
      given += static_cast<char>(c);
      wanted += ascii_lower(static_cast<char>(c));
    }
    std::string lower(given.size(), '?');
    lower_copy(given, lower.data());
    EXPECT_EQ(lower, wanted);
  }
  for (std::size_t size = 0; size < 20; ++size) {
    std::string lower(size, '?');
    lower_copy(std::string(size, 'Q'), lower.data());
    EXPECT_EQ(lower, std::string(size, 'q'));
  }
}

TEST(IntelImage, ANameTooLongHidesNoDomainItIsUnder) {
  const Intel intel(Feeds{{"a.txt", "evil.com\n"}, {"hosts", "0.0.0.0 exact.com\n"}});
  std::string labels;
  while (labels.size() < 2000) {
    labels += "label.";
    EXPECT_EQ(intel.domain(labels + "evil.com"), Values{"evil.com"}) << labels.size();
    EXPECT_EQ(intel.domain(labels + "exact.com"), Values{});
  }
  EXPECT_EQ(intel.domain(std::string(2000, 'x') + ".evil.com"), Values{"evil.com"});
  EXPECT_EQ(intel.domain(std::string(2000, 'x')), Values{});
  EXPECT_EQ(intel.domain(std::string(244, 'x') + ".evil.com"), Values{"evil.com"}); // 253
  EXPECT_EQ(intel.domain(std::string(245, 'x') + ".evil.com"), Values{"evil.com"});
}

TEST(IntelImage, AnEscapedDotSeparatesNothing) {
  const Intel intel(Feeds{{"a.txt", "evil.com\n"}, {"hosts", "0.0.0.0 exact.com\n"}});
  EXPECT_EQ(intel.domain("a\\.evil.com"), Values{}); // the label "a.evil" under com
  EXPECT_EQ(intel.domain("\\.evil.com"), Values{});
  EXPECT_EQ(intel.domain("a\\\\.evil.com"), Values{"evil.com"}); // the label "a\"
  EXPECT_EQ(intel.domain("\\000\\255.evil.com"), Values{"evil.com"});
  EXPECT_EQ(intel.domain("\\.x.evil.com"), Values{"evil.com"});
  EXPECT_EQ(intel.domain("\\000.exact.com"), Values{});
  std::string tunnel;
  for (int i = 0; i < 63; ++i) {
    tunnel += "\\200";
  }
  EXPECT_EQ(intel.domain(tunnel + "." + tunnel + ".evil.com"), Values{"evil.com"});
}

TEST(IntelImage, HostsNamesMeanOnlyThemselves) {
  const Intel intel(Feeds{{"hosts", "0.0.0.0 evil.com\n"}});
  EXPECT_EQ(intel.domain("evil.com"), Values{"evil.com"});
  EXPECT_EQ(intel.domain("www.evil.com"), Values{});
}

TEST(IntelImage, AParentMatchNamesASourceThatListsSubdomains) {
  const Intel intel(Feeds{{"a-hosts", "0.0.0.0 evil.com\n"}, {"b-list", "\nevil.com\n"}});
  EXPECT_EQ(intel.image().indicator_count(), 1U);
  std::vector<IndicatorId> ids;
  intel.image().match_domain("www.evil.com", kNow, [&](auto id) { ids.push_back(id); });
  intel.image().match_domain("evil.com", kNow, [&](auto id) { ids.push_back(id); });
  ASSERT_EQ(ids.size(), 2U);
  EXPECT_EQ(intel.image().hit(ids[0])->source.raw(), "b-list");
  EXPECT_EQ(intel.image().hit(ids[0])->source_line, 2U);
  EXPECT_EQ(intel.image().hit(ids[1])->source.raw(), "a-hosts");
  EXPECT_EQ(intel.image().sources(ids[1]),
            (std::vector{GuestText("a-hosts:1"), GuestText("b-list:2")}));
}

TEST(IntelImage, UrlsMatchExactlyAndWithoutScheme) {
  const Intel intel(
      Feeds{{"a.txt", "http://evil.com/a\nevil.com/b\nevil.com:8080/c\nhttps://x.com/\n"}});
  EXPECT_EQ(intel.url("HTTP://EVIL.com:80/a#f"), Values{"http://evil.com/a"});
  EXPECT_EQ(intel.url("https://evil.com/a"), Values{});
  EXPECT_EQ(intel.url("http://evil.com/A"), Values{});
  EXPECT_EQ(intel.url("http://evil.com/a?x"), Values{});
  EXPECT_EQ(intel.url("http://evil.com/b"), Values{"evil.com/b"});
  EXPECT_EQ(intel.url("https://evil.com/b"), Values{"evil.com/b"});
  EXPECT_EQ(intel.url("evil.com/b"), Values{"evil.com/b"});
  EXPECT_EQ(intel.url("http://evil.com:8080/c"), Values{"evil.com:8080/c"});
  EXPECT_EQ(intel.url("http://x.com/"), Values{});
  EXPECT_EQ(intel.url("no url"), Values{});
}

TEST(IntelImage, AHitTellsTheIndicatorsOwnPart) {
  const Intel intel(Feeds{{"feed.txt", "#\n\nevil.com\n"}});
  std::optional<IndicatorHit> hit;
  intel.image().match_domain("a.evil.com", kNow, [&](auto id) { hit = intel.image().hit(id); });
  ASSERT_TRUE(hit);
  EXPECT_EQ(hit->type, IndicatorType::Domain);
  EXPECT_EQ(hit->source.raw(), "feed.txt");
  EXPECT_EQ(hit->source_line, 3U);
  EXPECT_EQ(hit->confidence, kListConfidence);
  EXPECT_EQ(hit->valid_until, 0);
}

/// The index against a std::map over random keys, present and absent.
TEST(IntelImage, AgreesWithAnOrdinaryMapOnManyKeys) {
  std::mt19937 random(7); // NOLINT(cert-msc51-cpp): the same test each time
  std::string text;
  std::map<std::string, bool> listed;
  for (int i = 0; i < 20000; ++i) {
    const auto name =
        "h" + std::to_string(random() % 60000) + ".example" + std::to_string(random() % 3) + ".com";
    listed[name] = true;
    text += name + "\n";
  }
  const Intel intel(Feeds{{"a", text}});
  EXPECT_EQ(intel.image().indicator_count(), listed.size());
  for (unsigned i = 0; i < 60000; ++i) {
    for (unsigned j = 0; j < 3; ++j) {
      const auto name = "h" + std::to_string(i) + ".example" + std::to_string(j) + ".com";
      ASSERT_EQ(intel.domain(name).size(), listed.contains(name) ? 1U : 0U) << name;
    }
  }
}

TEST(IntelImage, DifferentSeedsGiveTheSameAnswers) {
  for (std::uint64_t i = 0; i < 20; ++i) {
    IntelCompiler compiler;
    ASSERT_EQ(compiler.add_feed("a", as_bytes("evil.com\n45.9.20.0/24\n")).accepted, 2U);
    const auto compiled = compiler.compile();
    const auto image = IntelImage::open(compiled.image).value();
    int matches = 0;
    image.match_domain("www.evil.com", kNow, [&](auto) { ++matches; });
    image.match_address(IpAddress::parse("45.9.20.1").value(), kNow, [&](auto) { ++matches; });
    EXPECT_EQ(matches, 2);
  }
}

class DamagedImage : public testing::Test {
protected:
  std::vector<std::uint8_t> image_ = compile({{"a.txt", "evil.com\n45.9.20.0/24\n"}});

  [[nodiscard]] std::string refusal(std::span<const std::uint8_t> bytes) const {
    const auto opened = IntelImage::open(bytes);
    if (!opened) {
      return opened.error().message;
    }
    const auto verified = opened->verify();
    return verified ? "" : verified.error().message;
  }
  /// Writes the header after `change`, with a right checksum, and says why it is refused.
  template <class Change> [[nodiscard]] std::string with_header(Change change) const {
    auto image = image_;
    ImageHeader header;
    std::memcpy(&header, image.data(), sizeof header);
    change(header);
    header.checksum = header_checksum(header);
    std::memcpy(image.data(), &header, sizeof header);
    return refusal(image);
  }
};

TEST_F(DamagedImage, EveryCutIsRefused) {
  for (std::size_t size = 0; size < image_.size(); ++size) {
    EXPECT_NE(refusal(std::span(image_).first(size)), "") << size;
  }
  auto grown = image_;
  grown.push_back(0);
  EXPECT_NE(refusal(grown), "");
  EXPECT_EQ(refusal(image_), "");
}

TEST_F(DamagedImage, EveryFlippedBitIsRefused) {
  for (std::size_t i = 0; i < image_.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      auto flipped = image_;
      flipped[i] = static_cast<std::uint8_t>(flipped[i] ^ 1U << bit);
      ASSERT_NE(refusal(flipped), "") << i;
    }
  }
}

TEST_F(DamagedImage, TheReasonIsNamed) {
  EXPECT_EQ(with_header([](auto &) {}), "");
  EXPECT_EQ(with_header([](auto &header) { header.version = 1; }),
            "intelligence image: version 1, this program reads version 4");
  EXPECT_EQ(with_header([](auto &header) { header.magic[0] = 'x'; }),
            "intelligence image: not such a file (wrong magic)");
  const auto section = [&](auto change) { return with_header(change); };
  EXPECT_NE(section([](auto &header) { header.slots.count = 0; }), "");
  EXPECT_NE(section([](auto &header) { header.filter.count = 0; }), "");
  EXPECT_NE(section([](auto &header) { header.slots.count = 1ULL << 63; }), "");
  EXPECT_NE(section([](auto &header) { header.slots.offset = 0; }), "");
  EXPECT_NE(section([](auto &header) { header.records.offset += 1; }), "");
  EXPECT_NE(section([](auto &header) { header.records.count = UINT64_MAX; }), "");
  EXPECT_NE(section([](auto &header) { header.sources.offset = UINT64_MAX - 7; }), "");
  EXPECT_NE(section([](auto &header) { header.texts.count += 1; }), "");
  EXPECT_NE(section([](auto &header) { header.abouts.count = 1U << 30; }), "");
  EXPECT_NE(section([](auto &header) { header.lengths_v4.count = 1; }), "");
  EXPECT_NE(section([](auto &header) { header.lengths_v4.count = kLengthsMany; }), "");
  EXPECT_NE(section([](auto &header) { header.url_lengths.count = kUrlLengthWords + 1; }), "");
}

/// A right checksum says nothing about indices: the compiler may have been taken over.
TEST_F(DamagedImage, LyingIndicesMatchNothing) {
  ImageHeader header;
  std::memcpy(&header, image_.data(), sizeof header);
  const auto lie = [&](auto change) {
    auto image = image_;
    for (std::uint64_t i = 0; i < header.records.count; ++i) {
      Record record;
      auto *at = image.data() + header.records.offset + i * sizeof record;
      std::memcpy(&record, at, sizeof record);
      change(record);
      std::memcpy(at, &record, sizeof record);
    }
    const auto opened = IntelImage::open(image).value();
    int told = 0;
    const auto tell = [&](IndicatorId id) { told += opened.hit(id) ? 1 : 0; };
    opened.match_domain("www.evil.com", kNow, tell);
    opened.match_address(IpAddress::parse("45.9.20.1").value(), kNow, tell);
    tell(IndicatorId{UINT32_MAX});
    return told;
  };
  EXPECT_EQ(lie([](auto &) {}), 2);
  // The key of the network stands in its record.
  EXPECT_EQ(lie([](auto &record) { record.key = UINT32_MAX; }), 0);
  EXPECT_EQ(lie([](auto &record) { record.key_bytes = UINT16_MAX; }), 0);
  EXPECT_EQ(lie([](auto &record) { record.source = UINT16_MAX; }), 0);
  EXPECT_EQ(lie([](auto &record) { record.kind = 200; }), 0);
  EXPECT_EQ(lie([](auto &record) { record.flags = Record::kMoreFollow; }), 1);
  EXPECT_EQ(lie([](auto &record) { record.about = UINT32_MAX; }), 2); // told without
  EXPECT_EQ(lie([](auto &record) { record.flags |= Record::kHasBegin; }), 0);
}

/// No feed gives such keys, but an image may hold them.
TEST(IntelImage, EverySuffixOfDotsAloneIsTold) {
  IndexBuilder builder(kSeed);
  const auto source = builder.add_source("s").value();
  for (std::size_t dots = 0; dots < kMaxNameBytes; ++dots) {
    (void)builder.add(domain(std::string(dots, '.'), MatchScope::WithSubdomains), source, 1);
  }
  const auto bytes = builder.build().value();
  const auto image = IntelImage::open(bytes).value();
  std::size_t told = 0;
  image.match_domain(std::string(kMaxNameBytes, '.'), kNow, [&](auto) { ++told; });
  EXPECT_EQ(told, kMaxNameBytes); // one dot goes as the trailing one
}

TEST(IntelCompiler, ReportsWhatItMade) {
  IntelCompiler compiler(kSeed);
  const auto first = compiler.add_feed("a.txt", as_bytes("evil.com\nevil.com\n10.0.0.1\n"));
  EXPECT_EQ(first.accepted, 1U);
  EXPECT_EQ(first.duplicates, 1U);
  EXPECT_EQ(first.rejected, 1U);
  EXPECT_EQ(compiler.add_feed("b.txt", as_bytes("EVIL.com\n45.9.20.7\n")).accepted, 2U);
  EXPECT_NE(compiler.add_feed("c.bin", as_bytes(std::string_view("\0\1", 2))).problem, "");
  const auto compiled = compiler.compile();
  EXPECT_EQ(compiled.report.problem, "");
  EXPECT_EQ(compiled.report.indicators, 2U);
  EXPECT_EQ(compiled.report.image_bytes, compiled.image.size());
}

TEST(IntelCompiler, NoIndicatorIsAProblem) {
  IntelCompiler compiler(kSeed);
  EXPECT_NE(compiler.add_feed("a.txt", as_bytes("10.0.0.1\n")).problem, "");
  const auto compiled = compiler.compile();
  EXPECT_EQ(compiled.report.problem, "no indicator in any feed");
  EXPECT_TRUE(compiled.image.empty());
}

} // namespace
} // namespace outguard::intel
