#include <map>

#include <gtest/gtest.h>

#include "detect/accusation.h"
#include "detect/detector.h"

namespace outguard::detect {
namespace {

MatchSeen match(ObservableKind kind, const char *remote = "198.51.100.7:443") {
  MatchSeen seen;
  seen.flow.tuple = {17, Endpoint::parse("10.0.0.2:40000").value(),
                     Endpoint::parse(remote).value()};
  seen.indicator.observed = kind;
  return seen;
}

/// "c" connection, "p" process.
std::string accused(const MatchSeen &seen) {
  const auto found = accused_by(seen);
  return std::string(found.why_not_connection.empty() ? "c" : "") +
         (found.why_not_process.empty() ? "p" : "");
}

TEST(Accusation, IsTheTableOfEveryKind) {
  const std::map<ObservableKind, std::string> others{
      {ObservableKind::DnsName, "p"},         {ObservableKind::DnsAnswerName, ""},
      {ObservableKind::DnsAnswerAddress, ""}, {ObservableKind::CertificateName, ""},
      {ObservableKind::MailHost, ""},         {ObservableKind::FileName, ""},
  };
  for (std::size_t number = 0; number < kObservableKinds; ++number) {
    const auto kind = static_cast<ObservableKind>(number);
    const auto other = others.find(kind);
    EXPECT_EQ(accused(match(kind)), other == others.end() ? "cp" : other->second)
        << to_string(kind);
  }
  EXPECT_EQ(accused(match(static_cast<ObservableKind>(200))), "") << "a sensor may say anything";
}

TEST(Accusation, WhoAnswersOthersQuestionsIsNotWhoAsks) {
  auto asked = match(ObservableKind::DnsName, "10.0.0.1:53");
  EXPECT_EQ(accused(asked), "p");
  asked.attribution.serves_names = true;
  EXPECT_EQ(accused(asked), "");
  auto server = match(ObservableKind::RemoteAddress, "198.51.100.7:53");
  server.attribution.serves_names = true;
  EXPECT_EQ(accused(server), "c") << "a listed name server is a listed end all the same";
}

TEST(Accusation, WhatIsAskedOfTheLinkAccusesNobody) {
  for (const char *remote : {"224.0.0.251:5353", "224.0.0.252:5355", "[ff02::fb]:5353"}) {
    EXPECT_EQ(accused(match(ObservableKind::DnsName, remote)), "") << remote;
  }
}

TEST(Accusation, WhoHoldsATunnelIsNotWhoIsInIt) {
  auto inner = match(ObservableKind::RemoteAddress);
  inner.attribution.of_carrier = true;
  EXPECT_EQ(accused(inner), "c") << "what cannot be blocked is the blocker's word";
  inner.indicator.observed = ObservableKind::ExecutableHash;
  EXPECT_EQ(accused(inner), "cp");
}

TEST(Accusation, AKnockAccusesWhoKnocks) {
  auto knock = match(ObservableKind::RemoteAddress);
  knock.knocks.emplace();
  EXPECT_EQ(accused(knock), "c");
}

TEST(Detector, WhatIsWithheldStaysInTheFindingWithItsReason) {
  using namespace std::chrono_literals;
  const std::vector<ResponseWanted> all{
      {ResponseAction::BlockFlow, 60s}, {ResponseAction::Reset, 0s}, {ResponseAction::Kill, 0s}};
  Detector detector(Policy::make(ResponseMode::Enforce, {{"all", {}, 0, {}, all}}).value());
  const auto finding = detector.judge(match(ObservableKind::DnsName, "10.0.0.1:53"), {});
  ASSERT_TRUE(finding);
  ASSERT_EQ(finding->wanted.size(), 3U);
  EXPECT_EQ(finding->wanted[0].withheld, "the flow leads to the name server that was asked");
  EXPECT_EQ(finding->wanted[1].withheld, finding->wanted[0].withheld);
  EXPECT_EQ(finding->wanted[2].withheld, "");
}

} // namespace
} // namespace outguard::detect
