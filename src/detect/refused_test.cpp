// What the VM's own policy refuses, as findings.
#include <gtest/gtest.h>

#include "detect/detector.h"
#include "detect/signatures.h"

namespace outguard::detect {
namespace {

using namespace std::chrono_literals;

const VmIdentity kVm{"uuid-1", GuestText("web1"), "qemu", GuestText("6.1")};

MatchSeen refused(std::uint64_t flow_id, std::vector<PolicyAction> actions,
                  const std::string &rule = "default") {
  MatchSeen seen;
  seen.basis = MatchBasis::Policy;
  seen.flow.flow_id = flow_id;
  seen.attribution.status = AttributionStatus::Exact;
  seen.attribution.processes.emplace_back().identity = {7, 8, 9};
  PolicyMatch &policy = seen.policy.emplace();
  policy.policy = "web1";
  policy.rule = rule;
  policy.accused = {{7, 8, 9}};
  for (const auto action : actions) {
    policy.actions.add(action);
  }
  return seen;
}

Detector detector(ResponseMode mode = ResponseMode::Enforce) {
  return Detector(Policy::make(mode, {}, 90s).value());
}

std::vector<ResponseAction> actions_of(const Finding &finding) {
  std::vector<ResponseAction> actions;
  for (const auto &want : finding.wanted) {
    actions.push_back(want.action);
  }
  return actions;
}

TEST(Refused, IsAFindingThatNamesPolicyAndRuleAndWantsWhatTheySay) {
  auto judging = detector();
  const auto finding = judging.judge(
      refused(1, {PolicyAction::Block, PolicyAction::Suspend, PolicyAction::Kill}), kVm);
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->rule, "web1/default");
  EXPECT_EQ(finding->signature_id, 9100030U);
  EXPECT_EQ(finding->category, "Policy Violation");
  EXPECT_EQ(finding->severity, Severity::High);
  EXPECT_EQ(actions_of(*finding), (std::vector{ResponseAction::BlockFlow, ResponseAction::Suspend,
                                               ResponseAction::Kill}));
  EXPECT_EQ(finding->wanted[0], (ResponseWanted{ResponseAction::BlockFlow, 90s, ""}));
  EXPECT_TRUE(finding->wanted[2].withheld.empty());
  const auto isolated = judging.judge(refused(2, {PolicyAction::Isolate}), kVm);
  EXPECT_EQ(isolated->wanted[0], (ResponseWanted{ResponseAction::Isolate, 90s, ""}));
  EXPECT_TRUE(judging.judge(refused(3, {PolicyAction::Alert}), kVm)->wanted.empty());
}

TEST(Refused, OneFindingAFlowAndRule) {
  auto judging = detector();
  EXPECT_TRUE(judging.judge(refused(1, {PolicyAction::Block}), kVm));
  EXPECT_FALSE(judging.judge(refused(1, {PolicyAction::Block}), kVm));
  EXPECT_TRUE(judging.judge(refused(1, {PolicyAction::Block}, "web"), kVm));
  EXPECT_TRUE(judging.judge(refused(2, {PolicyAction::Block}), kVm));
}

TEST(Refused, ARepeatIsAFindingOnlyWhereSomethingIsToBeDone) {
  const auto repeat = [](std::vector<PolicyAction> actions) {
    auto match = refused(1, std::move(actions));
    match.policy->repeat = true;
    return match;
  };
  EXPECT_TRUE(detector().judge(repeat({PolicyAction::Block}), kVm));
  EXPECT_FALSE(detector().judge(repeat({PolicyAction::Alert}), kVm));
  EXPECT_FALSE(detector(ResponseMode::Monitor).judge(repeat({PolicyAction::Block}), kVm));
}

TEST(Refused, WhoKnocksInVainGetsNobodyEndedAndNothingIsolated) {
  auto match = refused(1, {PolicyAction::Block, PolicyAction::Kill, PolicyAction::Isolate});
  match.policy->answered = false;
  const auto finding = detector().judge(std::move(match), kVm);
  EXPECT_EQ(finding->severity, Severity::Low);
  EXPECT_EQ(finding->signature_id, 9100032U);
  for (const auto &want : finding->wanted) {
    EXPECT_EQ(want.withheld.empty(), want.action == ResponseAction::BlockFlow)
        << to_string(want.action);
  }
}

TEST(Refused, AVerdictAboutNobodyEndsNobody) {
  auto match = refused(1, {PolicyAction::Kill});
  match.policy->accused.clear();
  EXPECT_FALSE(detector().judge(std::move(match), kVm)->wanted[0].withheld.empty());
  auto unknown = refused(2, {PolicyAction::Block}, "unknown");
  unknown.policy->by = PolicyBy::Unknown;
  const auto finding = detector().judge(std::move(unknown), kVm);
  EXPECT_EQ(finding->signature_id, 9100031U);
  EXPECT_EQ(finding->severity, Severity::Low);
}

TEST(Refused, WhatHasNoPolicyIsNoFinding) {
  auto match = refused(1, {PolicyAction::Block});
  match.policy.reset();
  EXPECT_FALSE(detector().judge(std::move(match), kVm));
}

TEST(Refused, ABlockEndsWithinLimits) {
  EXPECT_FALSE(Policy::make(ResponseMode::Enforce, {}, 0s));
  EXPECT_FALSE(Policy::make(ResponseMode::Enforce, {}, kMostBlockTtl + 1s));
}

} // namespace
} // namespace outguard::detect
