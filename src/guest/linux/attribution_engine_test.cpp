#include <gtest/gtest.h>

#include "guest/linux/attribution_engine.h"
#include "guest/linux/linux_guest.h"
#include "guest/testing/linux_image.h"

namespace outguard::guest {
namespace {

Endpoint end(std::string_view text) {
  return Endpoint::parse(text).value();
}

FlowTuple tcp(std::string_view local, std::string_view remote) {
  return {6, end(local), end(remote)};
}
FlowTuple udp(std::string_view local, std::string_view remote) {
  return {17, end(local), end(remote)};
}

struct AttributionTest : testing::Test {
  LinuxGuest &guest() {
    if (!attached) {
      attached.emplace(LinuxGuest::attach(image.kernel()).value());
    }
    return *attached;
  }
  /// For a packet of just now.
  Attribution ask(const FlowTuple &of) { return guest().attribute(of, wall_now()); }
  SocketObjects connect(GuestVirtual task, std::uint32_t fd, std::string_view local,
                        std::string_view remote, GuestVirtual net = {}) {
    const auto made = image.add_socket({.local = end(local), .remote = end(remote), .net = net});
    image.hold(task, fd, made);
    return made;
  }
  SocketObjects bind(GuestVirtual task, std::uint32_t fd, std::uint8_t protocol,
                     std::string_view local, bool ipv6_only = false) {
    const bool is_tcp = protocol == 6;
    const auto made = image.add_socket({.protocol = protocol,
                                        .type = static_cast<std::uint16_t>(is_tcp ? 1 : 2),
                                        .state = static_cast<std::uint8_t>(is_tcp ? 10 : 7),
                                        .local = end(local),
                                        .remote = {{end(local).address.family, {}}, 0},
                                        .ipv6_only = ipv6_only});
    image.hold(task, fd, made);
    return made;
  }
  static void expect_pids(const Attribution &answer, const std::vector<std::int32_t> &pids) {
    std::vector<std::int32_t> found;
    for (const auto &process : answer.processes) {
      found.push_back(process.identity.pid);
    }
    EXPECT_EQ(found, pids);
  }

  LinuxImage image;
  GuestVirtual web = image.add_process({.pid = 80, .comm = "web"});
  std::optional<LinuxGuest> attached;
  const FlowTuple flow = tcp("10.0.0.1:50000", "203.0.113.66:4444");
};

TEST_F(AttributionTest, AConnectedSocket) {
  const auto made = connect(web, 3, "10.0.0.1:50000", "203.0.113.66:4444");
  const auto answer = ask(flow);
  EXPECT_EQ(answer.status, AttributionStatus::Exact);
  expect_pids(answer, {80});
  EXPECT_EQ(answer.sock, made.sock.raw());
  ASSERT_EQ(answer.ancestors.size(), 1U);
  EXPECT_EQ(answer.ancestors[0].pid, 1);
  EXPECT_FALSE(answer.ambiguous);
  EXPECT_EQ(ask(tcp("10.0.0.1:50001", "203.0.113.66:4444")).status, AttributionStatus::NotFound);
}

TEST_F(AttributionTest, AHitInTheLastTableCostsFewReads) {
  connect(web, 3, "10.0.0.1:50000", "203.0.113.66:4444");
  const WallTime packet_time = wall_now();
  static_cast<void>(guest().attribute(flow, packet_time));
  image.builder().memory().clear_calls();
  EXPECT_EQ(guest().attribute(flow, packet_time).status, AttributionStatus::Exact);
  EXPECT_LT(image.builder().memory().calls().size(), 70U);
}

TEST_F(AttributionTest, ATableOlderThanThePacketIsNotTold) {
  const auto made = connect(web, 3, "10.0.0.1:50000", "203.0.113.66:4444");
  expect_pids(ask(flow), {80});
  image.hold(image.add_process({.pid = 70}), 3, made); // as after a fork
  expect_pids(ask(flow), {70, 80});
  connect(image.add_process({.pid = 60}), 3, "10.0.0.1:50000", "203.0.113.66:4444",
          image.add_namespace(4026532118));
  EXPECT_TRUE(ask(flow).ambiguous);
}

TEST_F(AttributionTest, ASockThatLeftItsSocketIsNotItsHolders) {
  const auto made = connect(web, 3, "10.0.0.1:50000", "203.0.113.66:4444");
  image.set(made.sock, "sock", "sk_socket", 0);
  const auto answer = ask(flow);
  EXPECT_NE(answer.status, AttributionStatus::Exact);
  expect_pids(answer, {});
}

TEST_F(AttributionTest, WhateverTheBudgetNothingFalseIsSaid) {
  const auto made = connect(web, 3, "10.0.0.1:50000", "203.0.113.66:4444");
  image.hold(image.add_process({.pid = 70}), 3, made);
  bool was_exact = false;
  for (std::uint64_t steps = 0; !was_exact; ++steps) {
    ASSERT_LT(steps, 2000U);
    auto limited = LinuxGuest::attach(image.kernel(), WalkBudget(steps, 1 << 24)).value();
    const auto answer = limited.attribute(flow, wall_now());
    was_exact = answer.status == AttributionStatus::Exact;
    if (was_exact) {
      expect_pids(answer, {70, 80});
    } else {
      EXPECT_TRUE(answer.status == AttributionStatus::Unavailable ||
                  answer.status == AttributionStatus::Cached)
          << steps;
    }
    for (const auto &process : answer.processes) {
      EXPECT_FALSE(process.exited) << steps;
    }
  }
}

TEST_F(AttributionTest, MoreOwnersThanAreListedIsAmbiguous) {
  const auto made = connect(web, 3, "10.0.0.1:50000", "203.0.113.66:4444");
  for (std::int32_t pid = 100; pid < 132; ++pid) {
    image.hold(image.add_process({.pid = pid}), 3, made);
  }
  const auto answer = ask(flow);
  EXPECT_EQ(answer.processes.size(), 32U);
  EXPECT_TRUE(answer.ambiguous);
}

TEST_F(AttributionTest, ANewSocketIsFoundByReadingAgain) {
  EXPECT_EQ(ask(flow).status, AttributionStatus::NotFound);
  connect(web, 3, "10.0.0.1:50000", "203.0.113.66:4444");
  EXPECT_EQ(guest().attribute(flow, WallTime{}).status, AttributionStatus::NotFound)
      << "a table read after the packet is good enough";
  EXPECT_EQ(ask(flow).status, AttributionStatus::Exact);
}

TEST_F(AttributionTest, ADescriptorThatWasReusedIsNotBelieved) {
  connect(web, 3, "10.0.0.1:50000", "203.0.113.66:4444");
  const GuestVirtual other = image.add_process({.pid = 90});
  expect_pids(ask(flow), {80});
  // The socket moves to another process.
  const GuestVirtual files(image.get(web, "task_struct", "files"));
  const GuestVirtual slot = image.at(files, "files_struct", "fd_array").plus_wrapping(24);
  const GuestVirtual file(image.builder().space().read_pointer(slot).value());
  image.builder().put(slot, std::uint64_t{0});
  const GuestVirtual files_of_other(image.get(other, "task_struct", "files"));
  image.builder().put_pointer(
      image.at(files_of_other, "files_struct", "fd_array").plus_wrapping(56), file);
  const auto answer = ask(flow);
  EXPECT_EQ(answer.status, AttributionStatus::Exact);
  expect_pids(answer, {90});
}

TEST_F(AttributionTest, MappedAddressesAreIpv4) {
  connect(web, 3, "[::ffff:10.0.0.1]:50000", "[::ffff:203.0.113.66]:4444");
  EXPECT_EQ(ask(flow).status, AttributionStatus::Exact);
}

TEST_F(AttributionTest, EveryHolderOfASharedSocket) {
  const auto made = connect(web, 3, "10.0.0.1:50000", "203.0.113.66:4444");
  image.hold(image.add_process({.pid = 70}), 3, made);
  expect_pids(ask(flow), {70, 80});
}

TEST_F(AttributionTest, TheSameTupleInTwoNamespacesIsAmbiguous) {
  connect(web, 3, "10.0.0.1:50000", "203.0.113.66:4444");
  connect(image.add_process({.pid = 70}), 3, "10.0.0.1:50000", "203.0.113.66:4444",
          image.add_namespace(4026532118));
  for (int again = 0; again < 2; ++again) { // fresh, and out of the last table
    const auto answer = ask(flow);
    EXPECT_EQ(answer.status, AttributionStatus::Exact);
    EXPECT_TRUE(answer.ambiguous);
    expect_pids(answer, {70, 80});
  }
}

TEST_F(AttributionTest, OnlyAListenerIsKnown) {
  bind(web, 3, 6, "0.0.0.0:443");
  const auto inbound = tcp("10.0.0.1:443", "198.51.100.7:50000");
  EXPECT_EQ(ask(inbound).status, AttributionStatus::Listener);
  expect_pids(ask(inbound), {80});
  image.add_minisock(12, inbound.local, inbound.remote);
  EXPECT_EQ(ask(inbound).status, AttributionStatus::Listener) << "half open";
  EXPECT_EQ(ask(tcp("10.0.0.1:80", "198.51.100.7:50000")).status, AttributionStatus::NotFound);
}

TEST_F(AttributionTest, TheMoreSpecificListenerWins) {
  bind(web, 3, 6, "0.0.0.0:443");
  bind(image.add_process({.pid = 70}), 3, 6, "10.0.0.1:443");
  expect_pids(ask(tcp("10.0.0.1:443", "198.51.100.7:50000")), {70});
}

TEST_F(AttributionTest, AnUnconnectedSender) {
  bind(web, 3, 17, "0.0.0.0:5353");
  const auto answer = ask(udp("10.0.0.1:5353", "203.0.113.53:53"));
  EXPECT_EQ(answer.status, AttributionStatus::Exact);
  expect_pids(answer, {80});
  bind(image.add_process({.pid = 90}), 3, 17, "0.0.0.0:5353"); // SO_REUSEPORT
  const auto shared = ask(udp("10.0.0.1:5353", "203.0.113.53:53"));
  EXPECT_EQ(shared.status, AttributionStatus::Listener);
  expect_pids(shared, {80, 90});
}

TEST_F(AttributionTest, TheMoreSpecificSenderIsNotTheOnlyOne) {
  bind(web, 3, 17, "10.0.0.1:5353");
  bind(web, 4, 17, "0.0.0.0:5353");
  EXPECT_EQ(ask(udp("10.0.0.1:5353", "203.0.113.53:53")).status, AttributionStatus::Exact);
  bind(image.add_process({.pid = 90}), 3, 17, "0.0.0.0:5353"); // SO_REUSEADDR
  const auto shared = ask(udp("10.0.0.1:5353", "203.0.113.53:53"));
  EXPECT_EQ(shared.status, AttributionStatus::Listener);
  expect_pids(shared, {80, 90});
}

TEST_F(AttributionTest, SeveralSendersOfOneProcess) {
  bind(web, 3, 17, "0.0.0.0:5353");
  bind(web, 4, 17, "0.0.0.0:5353");
  const auto answer = ask(udp("10.0.0.1:5353", "203.0.113.53:53"));
  EXPECT_EQ(answer.status, AttributionStatus::Exact);
  expect_pids(answer, {80});
}

TEST_F(AttributionTest, AnOrphanInAnotherNamespaceMakesTheOwnerAmbiguous) {
  const auto made = connect(web, 3, "10.0.0.1:50000", "203.0.113.66:4444");
  image.add_socket({.state = 4,
                    .local = flow.local,
                    .remote = flow.remote,
                    .net = image.add_namespace(4026532118),
                    .has_socket = false});
  const auto answer = ask(flow);
  EXPECT_EQ(answer.status, AttributionStatus::Exact);
  EXPECT_TRUE(answer.ambiguous);
  EXPECT_EQ(answer.sock, made.sock.raw());
  expect_pids(answer, {80});
}

TEST_F(AttributionTest, AnIpv6SocketMayServeIpv4) {
  bind(web, 3, 17, "[::]:5353");
  bind(web, 4, 17, "[::]:6666", true);
  bind(web, 5, 17, "[::ffff:0.0.0.0]:7777");
  EXPECT_EQ(ask(udp("10.0.0.1:5353", "10.0.0.2:1")).status, AttributionStatus::Exact);
  EXPECT_EQ(ask(udp("10.0.0.1:6666", "10.0.0.2:1")).status, AttributionStatus::NotFound);
  EXPECT_EQ(ask(udp("[2001:db8::1]:6666", "[2001:db8::2]:1")).status, AttributionStatus::Exact);
  EXPECT_EQ(ask(udp("10.0.0.1:7777", "10.0.0.2:1")).status, AttributionStatus::Exact);
  EXPECT_EQ(ask(udp("[2001:db8::1]:7777", "[2001:db8::2]:1")).status, AttributionStatus::NotFound);
}

TEST_F(AttributionTest, WhetherAnIpv6SocketServesIpv4MayBeUnknown) {
  image.types().remove_member("sock_common", "skc_ipv6only");
  bind(web, 3, 17, "[::]:5353");
  EXPECT_EQ(ask(udp("10.0.0.1:5353", "10.0.0.2:1")).status, AttributionStatus::Listener);
  EXPECT_EQ(ask(udp("[2001:db8::1]:5353", "[2001:db8::2]:1")).status, AttributionStatus::Exact);
  connect(web, 4, "[::ffff:10.0.0.1]:50000", "[::ffff:10.0.0.2]:80");
  EXPECT_EQ(ask(tcp("10.0.0.1:50000", "10.0.0.2:80")).status, AttributionStatus::Exact);
}

TEST_F(AttributionTest, ARawSocketByItsProtocol) {
  const auto made = image.add_socket({.protocol = 1,
                                      .type = 3,
                                      .state = 7,
                                      .local = end("0.0.0.0:1"),
                                      .remote = end("0.0.0.0:0")});
  image.hold(web, 3, made);
  const auto answer = ask({1, end("10.0.0.1:0"), end("203.0.113.66:0")});
  EXPECT_EQ(answer.status, AttributionStatus::Exact);
  expect_pids(answer, {80});
}

TEST_F(AttributionTest, AnOrphanHasNoOwner) {
  image.add_socket({.state = 4, .local = flow.local, .remote = flow.remote, .has_socket = false});
  EXPECT_EQ(ask(flow).status, AttributionStatus::OwnerGone);
}

TEST_F(AttributionTest, TheEarlierOwnerOfAnOrphan) {
  const auto made = connect(web, 3, "10.0.0.1:50000", "203.0.113.66:4444");
  expect_pids(ask(flow), {80});
  const GuestVirtual files(image.get(web, "task_struct", "files"));
  image.builder().put(image.at(files, "files_struct", "fd_array").plus_wrapping(24),
                      std::uint64_t{0});
  image.set(made.sock, "sock", "sk_socket", 0);
  image.set(made.sock, "sock_common", "skc_state", 4);
  const auto answer = ask(flow);
  EXPECT_EQ(answer.status, AttributionStatus::Cached);
  EXPECT_GT(answer.age_ns, 0U);
  expect_pids(answer, {80});

  const auto next = guest().attribute(flow, wall_now(), wall_now()); // a later connection
  EXPECT_EQ(next.status, AttributionStatus::OwnerGone) << "the same ends, but not the same flow";
  expect_pids(next, {});
}

TEST_F(AttributionTest, AWallClockThatWasSetMakesNoOldTableNew) {
  connect(web, 3, "10.0.0.1:50000", "203.0.113.66:4444");
  static_cast<void>(guest().sockets());
  const auto later = tcp("10.0.0.1:50001", "203.0.113.66:4444");
  connect(web, 4, "10.0.0.1:50001", "203.0.113.66:4444");
  // Set back by an hour: what is sent now seems older than the table.
  const WallTime packet_time = wall_now() - std::chrono::hours(1);
  EXPECT_EQ(guest().attribute(later, packet_time).status, AttributionStatus::NotFound);
  guest().wall_clock_was_set();
  EXPECT_EQ(guest().attribute(later, packet_time).status, AttributionStatus::Exact);
}

TEST_F(AttributionTest, NotFoundIsOnlySaidOfAWholeTable) {
  image.set(image.symbols().find("tcp_hashinfo").value(), "inet_hashinfo", "ehash", 0xdead'0000);
  EXPECT_EQ(ask(flow).status, AttributionStatus::Unavailable);
}

} // namespace
} // namespace outguard::guest
