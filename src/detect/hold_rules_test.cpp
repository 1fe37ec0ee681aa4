#include <gtest/gtest.h>

#include "detect/hold_rules.h"

namespace outguard::detect {
namespace {

const ResponseWanted kBlock{ResponseAction::BlockFlow, std::chrono::seconds(60)};

Rule rule(std::string name, std::vector<IndicatorType> types, std::uint8_t confidence,
          std::vector<ResponseWanted> responses) {
  return {std::move(name), std::move(types), confidence, std::nullopt, std::move(responses)};
}

HoldRules made(std::vector<Rule> rules) {
  return hold_rules(Policy::make(ResponseMode::Enforce, std::move(rules)).value(),
                    {*IpNetwork::parse("10.9.0.0/16")});
}

TEST(HoldRules, RefuseWhatTheFirstFittingRuleBlocks) {
  const auto hold = made({rule("told", {IndicatorType::Domain}, 0, {}),
                          rule("sure", {}, 80, {kBlock}), rule("rest", {}, 0, {})});
  const auto of = [&](IndicatorType type, std::uint8_t confidence) {
    return hold.refusal_of(type, confidence, ObservableKind::RemoteAddress);
  };
  EXPECT_EQ(of(IndicatorType::Address, 80), Refusal::Flow);
  EXPECT_EQ(of(IndicatorType::Address, 79), Refusal::None);
  EXPECT_EQ(of(IndicatorType::Domain, 100), Refusal::None);
}

TEST(HoldRules, WithoutABlockNothingIsRefused) {
  const auto hold = made({rule("kill", {}, 0, {{ResponseAction::Kill, {}}})});
  EXPECT_EQ(hold.refusal_of(IndicatorType::Address, 100, ObservableKind::RemoteAddress),
            Refusal::None);
  EXPECT_EQ(made({}).refusal_of(IndicatorType::Address, 100, ObservableKind::RemoteAddress),
            Refusal::None);
}

TEST(HoldRules, FollowWhomAnObservationAccuses) {
  const auto hold = made({rule("all", {}, 0, {kBlock})});
  const auto of = [&](ObservableKind kind) {
    return hold.refusal_of(IndicatorType::Domain, 100, kind);
  };
  EXPECT_EQ(of(ObservableKind::TlsServerName), Refusal::Flow);
  EXPECT_EQ(of(ObservableKind::HttpHost), Refusal::Flow);
  EXPECT_EQ(of(ObservableKind::DnsName), Refusal::Packet) << "its server has done nothing";
  EXPECT_EQ(of(ObservableKind::DnsAnswerName), Refusal::None);
  EXPECT_EQ(of(ObservableKind::CertificateName), Refusal::None);
  EXPECT_EQ(of(static_cast<ObservableKind>(200)), Refusal::None);
}

TEST(HoldRules, SpareProtectedNetworks) {
  const auto hold = made({});
  EXPECT_TRUE(hold.is_protected(*IpAddress::parse("10.9.1.2")));
  EXPECT_TRUE(hold.is_protected(*IpAddress::parse("::ffff:10.9.1.2")));
  EXPECT_FALSE(hold.is_protected(*IpAddress::parse("10.8.1.2")));
}

} // namespace
} // namespace outguard::detect
