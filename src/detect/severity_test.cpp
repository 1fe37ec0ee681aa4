#include <algorithm>

#include <gtest/gtest.h>

#include "detect/detector.h"
#include "detect/severity.h"
#include "detect/signatures.h"

namespace outguard::detect {
namespace {

MatchSeen match(IndicatorType type, std::uint8_t confidence, std::uint8_t severity = 0,
                Reach reach = Reach::GuestBegan) {
  MatchSeen seen;
  seen.indicator.type = type;
  seen.indicator.confidence = confidence;
  seen.indicator.severity = severity;
  if (reach != Reach::GuestBegan) {
    seen.flow.initiator = FlowDirection::ToGuest;
  }
  if (reach == Reach::Unanswered) {
    seen.knocks.emplace();
  }
  return seen;
}

/// "HHM": severities at a confidence of 70, 69 and 39.
std::string row(IndicatorType type, std::uint8_t severity = 0, Reach reach = Reach::GuestBegan) {
  std::string letters;
  for (const int confidence : {70, 69, 39}) {
    const auto seen = match(type, static_cast<std::uint8_t>(confidence), severity, reach);
    letters += "?HML"[static_cast<int>(severity_of(seen))];
  }
  return letters;
}

TEST(Severity, IsTheTable) {
  for (const auto type :
       {IndicatorType::Endpoint, IndicatorType::Domain, IndicatorType::Url,
        IndicatorType::CertificateSha1, IndicatorType::CertificateSha256, IndicatorType::FileMd5,
        IndicatorType::FileSha1, IndicatorType::FileSha256}) {
    EXPECT_EQ(row(type), "HHM") << to_string(type);
  }
  EXPECT_EQ(row(IndicatorType::Address), "HML");
  for (const auto type : {IndicatorType::Network, IndicatorType::UrlPath, IndicatorType::Ja3,
                          IndicatorType::Ja4, IndicatorType::Hassh}) {
    EXPECT_EQ(row(type), "MLL") << to_string(type);
  }
  EXPECT_EQ(row(static_cast<IndicatorType>(200)), "MLL");
}

TEST(Severity, TheSourceMovesItByAStep) {
  EXPECT_EQ(row(IndicatorType::Address, 1), "HHM");
  EXPECT_EQ(row(IndicatorType::Address, 2), "HML");
  EXPECT_EQ(row(IndicatorType::Address, 3), "MLL");
  EXPECT_EQ(row(IndicatorType::Address, 200), "HML") << "no source says that";
}

TEST(Severity, WhatBeganOutsideIsMilder) {
  EXPECT_EQ(row(IndicatorType::Address, 0, Reach::GuestAnswered), "MLL");
  EXPECT_EQ(row(IndicatorType::Endpoint, 1, Reach::GuestAnswered), "HHM");
  EXPECT_EQ(row(IndicatorType::Endpoint, 1, Reach::Unanswered), "LLL");
}

TEST(Severity, AFingerprintBetweenPrivateEndsIsLow) {
  const auto of = [](IndicatorType type, const char *local, const char *remote) {
    auto seen = match(type, 90);
    seen.flow.tuple = {
        6, {IpAddress::parse(local).value(), 40000}, {IpAddress::parse(remote).value(), 443}};
    return severity_of(seen);
  };
  for (const auto &[local, remote] :
       {std::pair("10.0.0.2", "192.168.7.1"), std::pair("172.31.0.2", "100.64.0.9"),
        std::pair("fd00::2", "fe80::1"), std::pair("169.254.1.1", "::ffff:10.1.2.3")}) {
    EXPECT_EQ(of(IndicatorType::Ja3, local, remote), Severity::Low) << remote;
    EXPECT_EQ(of(IndicatorType::UrlPath, local, remote), Severity::Low) << remote;
    EXPECT_EQ(of(IndicatorType::Network, local, remote), Severity::Medium) << "listed on purpose";
    EXPECT_EQ(of(IndicatorType::Domain, local, remote), Severity::High) << "asked of a resolver";
  }
  for (const char *remote :
       {"11.0.0.1", "172.32.0.1", "100.128.0.1", "192.169.0.1", "2001:db8::1"}) {
    EXPECT_EQ(of(IndicatorType::Ja3, "10.0.0.2", remote), Severity::Medium) << remote;
  }
  EXPECT_EQ(of(IndicatorType::Ja3, "203.0.113.5", "10.0.0.2"), Severity::Medium);
}

TEST(Severity, ABeaconIsLow) {
  MatchSeen seen;
  seen.basis = MatchBasis::Beacon;
  EXPECT_EQ(severity_of(seen), Severity::Low);
  EXPECT_EQ(signature_for(seen).id, 9100020U);
}

const std::vector<ResponseWanted> kAll{{ResponseAction::BlockFlow, std::chrono::seconds(600)},
                                       {ResponseAction::Reset, {}},
                                       {ResponseAction::Kill, {}}};

Detector strict(std::optional<Severity> severity) {
  return Detector(Policy::make(ResponseMode::Enforce, {{"all", {}, 0, severity, kAll}}).value());
}

bool kills(const Finding &finding) {
  return std::any_of(finding.wanted.begin(), finding.wanted.end(), [](const auto &want) {
    return want.action == ResponseAction::Kill && want.withheld.empty();
  });
}

TEST(Detector, ARuleMayOverrideTheTable) {
  const auto seen = match(IndicatorType::Network, 10);
  EXPECT_EQ(strict(std::nullopt).judge(seen, {})->severity, Severity::Low);
  EXPECT_EQ(strict(Severity::High).judge(seen, {})->severity, Severity::High);
  EXPECT_TRUE(kills(*strict(std::nullopt).judge(seen, {})));
}

TEST(Detector, AnUnansweredKnockIsLowAndKillsNobody) {
  const auto finding =
      strict(Severity::High).judge(match(IndicatorType::Address, 100, 1, Reach::Unanswered), {});
  EXPECT_EQ(finding->severity, Severity::Low);
  EXPECT_EQ(finding->signature_id, 9100010U);
  EXPECT_FALSE(kills(*finding));
  ASSERT_EQ(finding->wanted.size(), 3U);
  EXPECT_EQ(finding->wanted[0].withheld, "") << "blocking stays the policy's choice";
  const auto answered =
      strict(Severity::High).judge(match(IndicatorType::Address, 100, 1, Reach::GuestAnswered), {});
  EXPECT_EQ(answered->severity, Severity::High);
  EXPECT_TRUE(kills(*answered));
}

TEST(Detector, ABeaconIsToldAndNothingIsDone) {
  auto detector = strict(Severity::High);
  MatchSeen seen;
  seen.basis = MatchBasis::Beacon;
  seen.beacon.emplace().score = 100;
  const auto finding = detector.judge(seen, {});
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->severity, Severity::Low);
  EXPECT_EQ(finding->rule, "beacon");
  EXPECT_TRUE(finding->wanted.empty());
  seen.basis = MatchBasis::Indicator;
  EXPECT_TRUE(detector.judge(seen, {})) << "of the same flow, and another thing";
}

} // namespace
} // namespace outguard::detect
