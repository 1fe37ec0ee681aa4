#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "respond/guard.h"

namespace outguard::respond {
namespace {

using testing::HasSubstr;

ProcessSeen process(std::int32_t pid, const std::string &comm, const std::string &exe) {
  ProcessSeen seen;
  seen.identity = {pid, 1, 1};
  seen.comm = GuestText(comm);
  if (!exe.empty()) {
    seen.exe = GuestText(exe);
  }
  return seen;
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
  void expect_refused(const ProcessSeen &seen, const char *why) {
    const auto allowed = Guard(policy_).check_process(seen);
    ASSERT_FALSE(allowed) << why;
    EXPECT_EQ(allowed.error().code, ErrorCode::Refused);
    EXPECT_THAT(allowed.error().message, HasSubstr(why));
  }
  void expect_allowed(const ProcessSeen &seen) {
    const auto allowed = Guard(policy_).check_process(seen);
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

TEST(CheckMatch, RefusesWhenTwoNamespacesHaveTheFlow) {
  auto match = attributed();
  EXPECT_TRUE(check_match(match));
  match.attribution.ambiguous = true;
  EXPECT_EQ(check_match(match).error().code, ErrorCode::Refused);
}

TEST(CheckMatch, APacketFromOutsideEndsNoServer) {
  auto match = attributed();
  match.flow.initiator = FlowDirection::ToGuest;
  const auto allowed = check_match(match);
  ASSERT_FALSE(allowed);
  EXPECT_EQ(allowed.error().code, ErrorCode::Refused);
  EXPECT_THAT(allowed.error().message, HasSubstr("only answered"));
  match.basis = MatchBasis::Policy; // which names the process and the direction itself
  EXPECT_TRUE(check_match(match));
}

TEST(CheckMatch, OnlyACertainProcessIsEnded) {
  for (const auto status :
       {AttributionStatus::Listener, AttributionStatus::Cached, AttributionStatus::OwnerGone,
        AttributionStatus::NotFound, AttributionStatus::Unavailable}) {
    EXPECT_EQ(check_match(attributed(status)).error().code, ErrorCode::Refused);
  }
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

TEST_F(GuardTest, ProtectsNetworksBitByBit) {
  policy_.protected_networks = {network("192.0.2.128", 25), network("2001:db8::", 33),
                                network("198.51.100.7", 32), network("203.0.113.0", 0)};
  policy_.protected_networks.pop_back();
  const Guard guard(policy_);
  const auto refused = [&](const std::string &remote) {
    return !guard.check_remote(*IpNetwork::parse(remote));
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

TEST_F(GuardTest, ANetworkIsRefusedForOneProtectedAddressInIt) {
  policy_.protected_networks = {network("192.0.2.128", 25)};
  const auto refused = Guard(policy_).check_remote(*IpNetwork::parse("192.0.0.0/16"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::Refused);
  EXPECT_THAT(refused.error().message, HasSubstr("protected network: gateway"));
  EXPECT_TRUE(Guard(policy_).check_remote(*IpNetwork::parse("192.0.2.0/25")));
}

class AllowedTest : public testing::Test {
protected:
  std::shared_ptr<Protections> list_ = std::make_shared<Protections>();

  void allow(const std::string &id, const std::string &what, const std::string &vm = "",
             std::chrono::seconds ttl = {}) {
    auto entry = *parse_protection(what);
    entry.id = id;
    entry.vm = vm;
    entry.actor = "uid 0 (root)";
    entry.why = "ours";
    entry.added_ns = wall_now().time_since_epoch().count();
    entry.expires_ns =
        ttl.count() == 0 ? 0 : entry.added_ns + std::chrono::nanoseconds(ttl).count();
    list_->add(entry);
  }
  [[nodiscard]] Guard guard(const std::string &vm = "vm-1") const {
    GuardPolicy policy;
    policy.added = list_;
    return Guard(policy, vm);
  }
  [[nodiscard]] bool protects_remote(const std::string &remote) const {
    const auto allowed = guard().check_remote(*IpNetwork::parse(remote));
    return !allowed && allowed.error().code == ErrorCode::Refused;
  }
  [[nodiscard]] bool protects(const ProcessSeen &seen) const {
    const auto allowed = guard().check_process(seen);
    return !allowed && allowed.error().code == ErrorCode::Refused;
  }
};

TEST_F(AllowedTest, AGuardAsksTheListAsItIsNow) {
  const auto asked = guard();
  EXPECT_TRUE(asked.check_remote(*IpNetwork::parse("198.51.100.9")));
  allow("p-1", "198.51.100.0/24");
  const auto refused = asked.check_remote(*IpNetwork::parse("198.51.100.9"));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message,
              testing::AllOf(HasSubstr("198.51.100.0/24"), HasSubstr("p-1"),
                             HasSubstr("uid 0 (root)"), HasSubstr("ours")));
  EXPECT_TRUE(protects_remote("198.51.0.0/16"));
  EXPECT_TRUE(protects_remote("::ffff:198.51.100.9"));
  EXPECT_FALSE(protects_remote("198.51.101.0/24"));
  EXPECT_FALSE(protects_remote("2001:db8::1"));
  list_->remove("p-1");
  EXPECT_TRUE(asked.check_remote(*IpNetwork::parse("198.51.100.9")));
}

TEST_F(AllowedTest, ProcessesByPathAndByName) {
  allow("p-1", "/srv/db/postgres");
  allow("p-2", "backup-agent-with-long-name");
  allow("p-3", "198.51.100.0/24"); // says nothing of processes
  EXPECT_TRUE(protects(process(9, "x", "/srv/db/postgres")));
  EXPECT_FALSE(protects(process(9, "postgres", "/srv/db/postgres2")));
  EXPECT_TRUE(protects(process(9, "x", "/data/u/backup-agent-with-long-name")));
  EXPECT_TRUE(protects(process(9, "backup-agent-wi", "/usr/bin/perl")));
  EXPECT_FALSE(protects(process(9, "backup-agent-wi", "/tmp/x"))) << "a name that it gave itself";
  EXPECT_FALSE(protects(process(9, "", "/tmp/x")));
}

TEST_F(AllowedTest, OfOneVmOrOfAll) {
  allow("p-1", "postgres", "vm-2");
  allow("p-2", "198.51.100.1", "vm-1");
  EXPECT_FALSE(protects(process(9, "postgres", "")));
  EXPECT_FALSE(guard("vm-2").check_process(process(9, "postgres", "")));
  EXPECT_TRUE(protects_remote("198.51.100.1"));
  EXPECT_TRUE(guard("vm-2").check_remote(*IpNetwork::parse("198.51.100.1")));
  EXPECT_EQ(list_->of("vm-1").size(), 1U);
  EXPECT_EQ(list_->all().size(), 2U);
}

TEST_F(AllowedTest, WhatHasEndedProtectsNoLonger) {
  allow("p-1", "198.51.100.1", "", std::chrono::seconds(-1));
  EXPECT_TRUE(list_->all().empty());
  allow("p-1", "198.51.100.1", "", std::chrono::hours(1));
  EXPECT_TRUE(protects_remote("198.51.100.1"));
  allow("p-1", "198.51.100.1", "", std::chrono::seconds(-1));
  EXPECT_FALSE(protects_remote("198.51.100.1"));
}

} // namespace
} // namespace outguard::respond
