#include <set>

#include <gtest/gtest.h>

#include "detect/detector.h"
#include "detect/signatures.h"

namespace outguard::detect {
namespace {

using namespace std::chrono_literals;

const VmIdentity kVm{"uuid-1", GuestText("web1"), "qemu", GuestText("6.1")};

MatchSeen match(std::uint64_t flow_id, IndicatorType type = IndicatorType::Domain,
                const std::string &value = "evil.com", std::uint8_t confidence = 75) {
  MatchSeen seen;
  seen.flow.flow_id = flow_id;
  seen.flow.first_packet_ns = 1000;
  seen.indicator.type = type;
  seen.indicator.value = GuestText(value);
  seen.indicator.confidence = confidence;
  return seen;
}

Rule rule(std::string name, std::vector<IndicatorType> types, std::uint8_t least_confidence,
          std::vector<ResponseWanted> responses = {}) {
  return {std::move(name), std::move(types), least_confidence, Severity::High,
          std::move(responses)};
}

const ResponseWanted kReset{ResponseAction::Reset, 0s};
const ResponseWanted kBlock{ResponseAction::BlockFlow, 600s};
const ResponseWanted kKill{ResponseAction::Kill, 0s};

TEST(Policy, TheDefaultOnlyWatches) {
  const Policy policy;
  EXPECT_EQ(policy.mode(), ResponseMode::Monitor);
  const auto &decided = policy.rule_for(match(1).indicator);
  EXPECT_EQ(decided.name, "default");
  EXPECT_TRUE(decided.responses.empty());
}

TEST(Policy, TheFirstRuleThatFitsDecides) {
  const auto policy =
      Policy::make(ResponseMode::Enforce, {rule("sure", {}, 90, {kKill}),
                                           rule("names", {IndicatorType::Domain}, 0, {kReset}),
                                           rule("rest", {}, 50, {kBlock})})
          .value();
  const auto decided = [&](IndicatorType type, std::uint8_t confidence) {
    return policy.rule_for(match(1, type, "x", confidence).indicator).name;
  };
  EXPECT_EQ(decided(IndicatorType::Domain, 90), "sure");
  EXPECT_EQ(decided(IndicatorType::Domain, 89), "names");
  EXPECT_EQ(decided(IndicatorType::Address, 50), "rest");
  EXPECT_EQ(decided(IndicatorType::Address, 49), "default");
}

TEST(Policy, RefusesRulesThatCannotBeMeant) {
  const auto refusal = [](std::vector<Rule> rules) {
    const auto made = Policy::make(ResponseMode::Enforce, std::move(rules));
    return made ? "" : made.error().message;
  };
  EXPECT_EQ(refusal({rule("a", {}, 0, {kReset, kBlock, kKill})}), "");
  EXPECT_EQ(refusal({rule("", {}, 0)}), "a rule has no name");
  EXPECT_EQ(refusal({rule("a", {}, 0), rule("a", {}, 1)}), "two rules are named a");
  EXPECT_EQ(refusal({rule("a", {}, 0, {kKill, kKill})}), "rule a: kill is listed twice");
  for (const auto ttl : {0s, -5s, std::chrono::seconds(24h * 31)}) {
    EXPECT_EQ(refusal({rule("a", {}, 0, {{ResponseAction::BlockFlow, ttl}})}),
              "rule a: block_flow needs a time to live from 1 second to 30 days");
  }
}

TEST(Detector, AFindingCarriesEverythingTheAlertNeeds) {
  Detector detector(
      Policy::make(ResponseMode::Enforce, {rule("r", {}, 0, {kBlock, kKill})}).value());
  const auto finding = detector.judge(match(7), kVm);
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->match.flow.flow_id, 7U);
  EXPECT_EQ(finding->vm, kVm);
  EXPECT_EQ(finding->severity, Severity::High);
  EXPECT_EQ(finding->signature_id, signature_for(IndicatorType::Domain).id);
  EXPECT_EQ(finding->rule, "r");
  EXPECT_EQ(finding->mode, ResponseMode::Enforce);
  EXPECT_EQ(finding->wanted, (std::vector{kBlock, kKill}));
}

TEST(Detector, OneFindingAFlowAndIndicator) {
  Detector detector{Policy()};
  EXPECT_TRUE(detector.judge(match(1), kVm));
  EXPECT_FALSE(detector.judge(match(1), kVm));
  EXPECT_TRUE(detector.judge(match(1, IndicatorType::Domain, "other.com"), kVm));
  EXPECT_TRUE(detector.judge(match(1, IndicatorType::Url), kVm));
  EXPECT_TRUE(detector.judge(match(2), kVm));
  auto other_vm = kVm;
  other_vm.uuid = "uuid-2";
  EXPECT_TRUE(detector.judge(match(1), other_vm));
  auto later_run = match(1);
  later_run.flow.first_packet_ns = 2000;
  EXPECT_TRUE(detector.judge(later_run, kVm));
  EXPECT_EQ(detector.counts().findings, 6U);
  EXPECT_EQ(detector.counts().repeats, 1U);
}

TEST(Detector, RemembersABoundedNumber) {
  Detector detector(Policy(), 10);
  for (std::uint64_t flow = 0; flow < 25; ++flow) {
    EXPECT_TRUE(detector.judge(match(flow), kVm));
  }
  EXPECT_EQ(detector.counts().forgotten, 15U);
  EXPECT_FALSE(detector.judge(match(15), kVm)); // the oldest that is still known
  EXPECT_TRUE(detector.judge(match(14), kVm));
}

TEST(Signatures, NumbersAreDifferentAndFixed) {
  std::set<std::uint32_t> numbers;
  for (const auto type : {IndicatorType::Address, IndicatorType::Network, IndicatorType::Endpoint,
                          IndicatorType::Domain, IndicatorType::Url}) {
    numbers.insert(signature_for(type).id);
  }
  EXPECT_EQ(numbers, (std::set<std::uint32_t>{9100001, 9100002, 9100003, 9100004, 9100005}));
  EXPECT_EQ(signature_for(static_cast<IndicatorType>(200)).id, 9100000U);
}

} // namespace
} // namespace outguard::detect
