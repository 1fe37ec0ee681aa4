#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "respond/guard.h"

namespace outguard::respond {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

ProcessSeen process(std::int32_t pid, const std::string &comm, const std::string &exe) {
  ProcessSeen seen;
  seen.identity = {pid, 1, 1};
  seen.comm = GuestText(comm);
  if (!exe.empty()) {
    seen.exe = GuestText(exe);
  }
  return seen;
}
FlowTuple flow_to(const std::string &remote) {
  return {6, {*IpAddress::parse("10.0.0.2"), 1000}, {*IpAddress::parse(remote), 443}};
}
ProtectedNetwork network(const std::string &address, std::uint8_t length) {
  return {*IpAddress::parse(address), length, "gateway"};
}

MatchSeen attributed(AttributionStatus status = AttributionStatus::Exact) {
  MatchSeen match;
  match.attribution.status = status;
  return match;
}

class GuardTest : public testing::Test {
protected:
  GuardPolicy policy_;
  MonotonicTime now_ = monotonic_now();

  Result<void> kill(Guard &guard, const ProcessSeen &seen,
                    AttributionStatus sure = AttributionStatus::Exact) {
    return guard.allow_kill("vm", seen, attributed(sure), now_);
  }
  void expect_refused(const ProcessSeen &seen, const char *why) {
    Guard guard(policy_);
    const auto allowed = kill(guard, seen);
    ASSERT_FALSE(allowed) << why;
    EXPECT_EQ(allowed.error().code, ErrorCode::Refused);
    EXPECT_THAT(allowed.error().message, HasSubstr(why));
  }
  void expect_allowed(const ProcessSeen &seen) {
    Guard guard(policy_);
    const auto allowed = kill(guard, seen);
    EXPECT_TRUE(allowed) << allowed.error().message;
  }
};

TEST_F(GuardTest, NeverEndsInitOrKernelThreads) {
  expect_refused(process(1, "x", "/tmp/x"), "pid 1");
  expect_refused(process(0, "x", "/tmp/x"), "pid 1");
  expect_refused(process(-5, "x", "/tmp/x"), "pid 1");
  auto thread = process(9, "kworker/0:1", "");
  thread.kernel_thread = true;
  expect_refused(thread, "kernel thread");
}

TEST_F(GuardTest, RefusesWhenTwoNamespacesHaveTheFlow) {
  Guard guard(policy_);
  auto match = attributed();
  match.attribution.ambiguous = true;
  const auto allowed = guard.allow_kill("vm", process(9, "x", "/tmp/x"), match, now_);
  ASSERT_FALSE(allowed);
  EXPECT_EQ(allowed.error().code, ErrorCode::Refused);
  EXPECT_TRUE(guard.allow_kill("vm", process(9, "x", "/tmp/x"), attributed(), now_));
}

TEST_F(GuardTest, APacketFromOutsideEndsNoServer) {
  Guard guard(policy_);
  auto match = attributed();
  match.flow.initiator = FlowDirection::ToGuest;
  const auto allowed = guard.allow_kill("vm", process(9, "x", "/tmp/x"), match, now_);
  ASSERT_FALSE(allowed);
  EXPECT_EQ(allowed.error().code, ErrorCode::Refused);
  EXPECT_THAT(allowed.error().message, HasSubstr("only answered"));
}

TEST_F(GuardTest, ProtectsByFileAndByNameOfASystemProgram) {
  expect_refused(process(9, "x", "/usr/sbin/sshd"), "protected: sshd");
  expect_refused(process(9, "sshd", ""), "protected: sshd");
  expect_refused(process(9, "qemu-ga", "/usr/bin/qemu-ga"), "qemu-ga");
  expect_refused(process(9, "waagent", "/usr/bin/python3.11"), "waagent");
  expect_refused(process(9, "systemd-journal", ""), "systemd-journald"); // cut to 15 bytes
  expect_allowed(process(9, "beacon", "/tmp/beacon"));
  expect_allowed(process(9, "sshd2", "/usr/bin/sshd2"));
}

TEST_F(GuardTest, ANameAloneDoesNotProtectAProgramFromAnywhere) {
  expect_allowed(process(9, "sshd", "/tmp/.x/payload"));
  expect_allowed(process(9, "sshd", "/srv/u/a"));
}

TEST_F(GuardTest, PolicyAddsPathsAndNames) {
  policy_.protected_paths = {"/srv/db/postgres"};
  policy_.protected_names.emplace_back("backup-agent-with-long-name");
  expect_refused(process(9, "x", "/srv/db/postgres"), "/srv/db/postgres");
  expect_refused(process(9, "backup-agent-wi", "/usr/bin/perl"), "backup-agent");
  expect_allowed(process(9, "x", "/srv/db/postgres2"));
}

TEST_F(GuardTest, KillsOnlyACertainProcess) {
  Guard guard(policy_);
  const auto seen = process(9, "beacon", "/tmp/beacon");
  for (const auto status :
       {AttributionStatus::Listener, AttributionStatus::Cached, AttributionStatus::OwnerGone,
        AttributionStatus::NotFound, AttributionStatus::Unavailable}) {
    EXPECT_EQ(kill(guard, seen, status).error().code, ErrorCode::Refused);
  }
  EXPECT_TRUE(kill(guard, seen));
}

TEST_F(GuardTest, ProtectsNetworksBitByBit) {
  policy_.protected_networks = {network("192.0.2.128", 25), network("2001:db8::", 33),
                                network("198.51.100.7", 32), network("203.0.113.0", 0)};
  policy_.protected_networks.pop_back();
  const Guard guard(policy_);
  const auto refused = [&](const std::string &remote) {
    return !guard.check_remote(*IpAddress::parse(remote));
  };
  EXPECT_TRUE(refused("192.0.2.128"));
  EXPECT_TRUE(refused("192.0.2.255"));
  EXPECT_FALSE(refused("192.0.2.127"));
  EXPECT_TRUE(refused("::ffff:192.0.2.200")) << "the same address in IPv6 clothes";
  EXPECT_TRUE(refused("198.51.100.7"));
  EXPECT_FALSE(refused("198.51.100.6"));
  EXPECT_TRUE(refused("2001:db8:7fff::1"));
  EXPECT_FALSE(refused("2001:db8:8000::1"));
  EXPECT_FALSE(network("10.0.0.0", 200).contains(*IpAddress::parse("10.0.0.1")));
  EXPECT_TRUE(network("0.0.0.0", 0).contains(*IpAddress::parse("1.2.3.4")));
}

TEST_F(GuardTest, TheBreakerOpensAndRests) {
  policy_.most_kills_per_minute = 2;
  Guard guard(policy_);
  const auto seen = process(9, "beacon", "/tmp/beacon");
  EXPECT_TRUE(kill(guard, seen));
  EXPECT_TRUE(kill(guard, seen));
  EXPECT_THAT(kill(guard, seen).error().message, HasSubstr("breaker"));
  EXPECT_TRUE(guard.allow_kill("other", seen, attributed(), now_));
  now_ += 2min;
  EXPECT_FALSE(kill(guard, seen)) << "an open breaker outlasts the minute";
  now_ += policy_.breaker_rest;
  EXPECT_TRUE(kill(guard, seen));
}

TEST_F(GuardTest, RefusedKillsCostNothing) {
  policy_.most_kills_per_minute = 1;
  Guard guard(policy_);
  EXPECT_FALSE(kill(guard, process(1, "init", "")));
  EXPECT_TRUE(kill(guard, process(9, "beacon", "/tmp/beacon")));
}

TEST_F(GuardTest, OneVmCannotSpendTheKillsOfTheOthers) {
  Guard guard(policy_);
  const auto seen = process(9, "beacon", "/tmp/beacon");
  for (int i = 0; i < 1000; ++i) {
    (void)guard.allow_kill("noisy" + std::to_string(i % 100), seen, attributed(), now_);
  }
  EXPECT_TRUE(guard.allow_kill("quiet", seen, attributed(), now_));
}

TEST_F(GuardTest, ResetsHaveABudgetAndBlocksNone) {
  policy_.most_resets_per_minute = 1;
  Guard guard(policy_);
  const auto flow = flow_to("198.51.100.1");
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(guard.allow_network(ResponseAction::BlockFlow, "vm", flow, now_));
  }
  EXPECT_TRUE(guard.allow_network(ResponseAction::Reset, "vm", flow, now_));
  EXPECT_FALSE(guard.allow_network(ResponseAction::Reset, "vm", flow, now_));
  EXPECT_TRUE(guard.allow_network(ResponseAction::BlockFlow, "vm", flow, now_))
      << "an open breaker must not end containment";
}

} // namespace
} // namespace outguard::respond
