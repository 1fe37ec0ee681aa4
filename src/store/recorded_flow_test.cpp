#include <gtest/gtest.h>

#include "store/json_lines.h"
#include "store/recorded_flow.h"

namespace outguard::store {
namespace {

Finding finding() {
  Finding finding;
  finding.vm.name = GuestText("web1");
  finding.vm.uuid = "u-1";
  finding.match.flow.flow_id = 7;
  finding.match.flow.tuple = {6, Endpoint::parse("10.0.0.2:4000").value(),
                              Endpoint::parse("9.9.9.9:443").value()};
  finding.match.indicator.observed = ObservableKind::TlsServerName;
  finding.match.indicator.observed_value = GuestText("evil.example");
  auto &attribution = finding.match.attribution;
  attribution.status = AttributionStatus::Exact;
  attribution.ancestors = {{1, GuestText("systemd")}};
  for (const int pid : {10, 11}) {
    ProcessSeen &process = attribution.processes.emplace_back();
    process.identity.pid = pid;
    process.comm = GuestText("curl");
    process.exe = GuestText("/usr/bin/curl");
    process.container = GuestText();
    process.credentials.emplace().uid = 33;
  }
  finding.executable.emplace().status = FileHash::Status::Complete;
  finding.executable->sha256[0] = 0xab;
  return finding;
}

TEST(RecordedFlow, IsWhatTheAlertWasOf) {
  const auto alert = finding();
  const auto flow = recorded_flow(eve_alert(alert, {}), "7");
  ASSERT_TRUE(flow);
  EXPECT_EQ(flow->vm, GuestText("web1"));
  EXPECT_EQ(flow->uuid, "u-1");
  EXPECT_EQ(flow->tuple, alert.match.flow.tuple);
  EXPECT_EQ(flow->initiator, FlowDirection::ToRemote);
  EXPECT_EQ(flow->host, "evil.example");
  EXPECT_EQ(flow->sha256, alert.executable->sha256);
  ASSERT_TRUE(flow->attribution);
  EXPECT_EQ(flow->attribution->status, AttributionStatus::Exact);
  ASSERT_EQ(flow->attribution->processes.size(), 2U);
  const auto &process = flow->attribution->processes[1];
  EXPECT_EQ(process.identity.pid, 11);
  EXPECT_EQ(process.exe, GuestText("/usr/bin/curl"));
  EXPECT_EQ(process.container, GuestText()) << "in none";
  EXPECT_EQ(process.unit, std::nullopt) << "not known";
  EXPECT_EQ(process.credentials->uid, 33U);
  ASSERT_EQ(flow->attribution->ancestors.size(), 1U);
  EXPECT_FALSE(flow->attribution->ancestors_cut);
}

TEST(RecordedFlow, HasTheNameThatAPolicyJudgedBy) {
  auto alert = finding();
  alert.match.basis = MatchBasis::Policy;
  alert.match.policy.emplace().host = GuestText("judged.example");
  const auto flow = recorded_flow(eve_alert(alert, {}));
  ASSERT_TRUE(flow);
  EXPECT_EQ(flow->host, "judged.example");
}

TEST(RecordedFlow, TheGuestsEndIsLocalWhoeverBegan) {
  auto alert = finding();
  alert.match.flow.initiator = FlowDirection::ToGuest;
  const auto inbound = recorded_flow(eve_alert(alert, {}));
  ASSERT_TRUE(inbound);
  EXPECT_EQ(inbound->initiator, FlowDirection::ToGuest);
  EXPECT_EQ(inbound->tuple, alert.match.flow.tuple);
  alert.match.flow.tuple = {58,
                            {IpAddress::parse("2001:db8::1").value(), 128},
                            {IpAddress::parse("2001:db8::2").value(), 0}};
  const auto ping = recorded_flow(eve_alert(alert, {}));
  ASSERT_TRUE(ping);
  EXPECT_EQ(ping->tuple.protocol, 58);
}

TEST(RecordedFlow, AnythingElseIsNone) {
  const auto line = eve_alert(finding(), {});
  EXPECT_FALSE(recorded_flow(line, "8"));
  EXPECT_FALSE(recorded_flow(line.substr(0, line.size() / 2)));
  for (const char *text : {"", "[]", "5", "{}", R"({"flow":{"initiator":"guest"},"proto":"TCP"})",
                           R"({"flow":[],"src_ip":[],"dest_ip":{},"process":7,"proto":6})"}) {
    EXPECT_FALSE(recorded_flow(text)) << text;
  }
}

} // namespace
} // namespace outguard::store
