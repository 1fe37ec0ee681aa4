// One table of cases for every mechanism, on a real tap (the test holds the guest's end) that is
// the port of a bridge:   test ── tap.0 ── br0 ── w ── eth0 in "world". Needs root, nftables and
// /dev/net/tun; what this host cannot do is skipped loudly. The bpffs is the test's own.
#include <array>
#include <csignal>
#include <cstring>
#include <functional>

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hypervisor/network_namespace.h"
#include "respond/packet_injector.h"
#include "respond/tap_keys.h"
#include "respond/tap_test_tools.h"
#include "respond/tc_filter.h"

namespace outguard::respond {
namespace {

using hypervisor::in_namespace;
using namespace std::chrono_literals;

enum class Mechanism { Tcx, Classic, Netdev, Bridge };

class Filter : public testing::TestWithParam<Mechanism>, protected TapWorld {
protected:
  void SetUp() override {
    const bool own_bpffs = mount_own_bpffs();
    if (!make_namespaces()) {
      GTEST_SKIP() << "SKIPPED: needs root, iproute2, network namespaces and /dev/net/tun";
    }
    if (is_tc() && !own_bpffs) {
      GTEST_SKIP() << "SKIPPED: no bpffs can be mounted here";
    }
    ASSERT_TRUE(make_devices());
    // The bridge forwards once its ports are up, which a busy machine's kernel puts off for
    // seconds.
    ASSERT_TRUE(wait_for([&] { return arrives(Packet{}, true) && arrives(Packet{}, false); }));
    forwards_ = true;
    auto opened = open();
    if (!opened && GetParam() == Mechanism::Tcx) {
      GTEST_SKIP() << "SKIPPED: " << opened.error().message;
    }
    ASSERT_TRUE(opened) << opened.error().message;
    filter_ = std::move(*opened);
    if (GetParam() == Mechanism::Tcx && !dynamic_cast<TcFilter &>(*filter_).program()->is_tcx()) {
      GTEST_SKIP() << "SKIPPED: this kernel has no TCX";
    }
  }
  void TearDown() override {
    if (filter_) {
      EXPECT_TRUE(filter_->remove_all());
    }
    remove_world();
  }
  static bool is_tc() { return GetParam() == Mechanism::Tcx || GetParam() == Mechanism::Classic; }
  [[nodiscard]] Result<std::unique_ptr<TapFilter>> open() const {
    if (is_tc()) {
      return TcFilter::open(netns_, "tap.0",
                            GetParam() == Mechanism::Tcx ? TapHook::Newest : TapHook::Classic);
    }
    auto opened = open_tap_filter(netns_, "tap.0",
                                  GetParam() == Mechanism::Netdev ? FilterMechanism::NftNetdev
                                                                  : FilterMechanism::NftBridge);
    return opened ? Result<std::unique_ptr<TapFilter>>(std::move(opened->filter))
                  : tl::unexpected(opened.error());
  }
  /// Whether `token` comes out at the far end, before `last` does.
  [[nodiscard]] bool comes(const Bytes &token, const Bytes &last, bool from_guest) const {
    const int fd = from_guest ? world_socket_.get() : tap_.get();
    Bytes buffer(70000);
    bool found = false;
    for (bool ended = false; !ended;) {
      pollfd waiting{fd, POLLIN, 0};
      if (::poll(&waiting, 1, forwards_ ? 2000 : 200) <= 0) {
        EXPECT_FALSE(forwards_) << "not even an ARP frame came through";
        return false;
      }
      const ssize_t got = ::read(fd, buffer.data(), buffer.size());
      const auto size = got > 0 ? static_cast<std::size_t>(got) : 0;
      const auto holds = [&](const Bytes &mark) {
        return ::memmem(buffer.data(), size, mark.data(), mark.size()) != nullptr;
      };
      found = found || holds(token);
      ended = holds(last);
    }
    return found;
  }
  /// Sends the frame that `make` builds around a token, then one that always passes.
  [[nodiscard]] bool arrives(const std::function<Bytes(const Bytes &)> &make, bool from_guest,
                             VnetHeader header = {}) const {
    const auto mark = token();
    const auto last = token();
    send(make(mark), from_guest, header);
    Bytes arp(28);
    arp.insert(arp.end(), last.begin(), last.end());
    send(frame({}, ETH_P_ARP, arp), from_guest);
    return comes(mark, last, from_guest);
  }
  [[nodiscard]] bool arrives(const Packet &packet, bool from_guest) const {
    return arrives([&](const Bytes &mark) { return frame_of(packet, from_guest, mark); },
                   from_guest);
  }
  void expect(const char *what, const Packet &packet, bool passes) const {
    EXPECT_EQ(arrives(packet, true), passes) << what << ", from the guest";
    EXPECT_EQ(arrives(packet, false), passes) << what << ", to the guest";
  }
  void dropped(const char *what, const Packet &packet) const { expect(what, packet, false); }
  void passed(const char *what, const Packet &packet) const { expect(what, packet, true); }
  void add(const NetworkRule &rule, std::chrono::seconds ttl = 60s) const {
    const auto added = filter_->add(rule, ttl);
    ASSERT_TRUE(added) << to_string(rule) << ": " << added.error().message;
  }
  static FlowRule flow(std::uint8_t protocol, const std::string &local, const std::string &remote) {
    return {{protocol, *Endpoint::parse(local), *Endpoint::parse(remote)}};
  }
  static RemoteRule remote(const char *network) { return {*IpNetwork::parse(network)}; }
  [[nodiscard]] std::vector<std::string> listed() const {
    std::vector<std::string> names;
    const auto rules = filter_->list();
    EXPECT_TRUE(rules);
    for (const auto &[rule, left] : *rules) {
      EXPECT_GT(left, 0s);
      names.push_back(to_string(rule));
    }
    return names;
  }

  bool forwards_ = false;
  std::unique_ptr<TapFilter> filter_;
};

const std::string kLocal6 = "[fd09::2]:4000";
const std::string kRemote6 = "[fd09::1]:53";

TEST_P(Filter, Flows) {
  passed("without a rule", {});
  add(flow(17, "10.9.0.2:4000", "10.9.0.1:53"));
  add(flow(6, kLocal6, kRemote6));
  dropped("the flow", {});
  dropped("the flow below a tag", {.tags = {0x8100}});
  dropped("the flow behind options", {.extensions = 3});
  passed("another local port", {.local = "10.9.0.2:4001"});
  passed("another remote port", {.remote = "10.9.0.1:54"});
  passed("another remote", {.remote = "10.9.0.3:53"});
  passed("TCP", {.protocol = 6});
  passed("ICMP", {.protocol = 1, .first_byte = 8});
  passed("the flow's mirror image", {.local = "10.9.0.1:53", .remote = "10.9.0.2:4000"});
  const auto six = [](Packet packet) {
    packet.protocol = 6;
    packet.local = kLocal6;
    packet.remote = kRemote6;
    return packet;
  };
  dropped("a flow of IPv6", six({}));
  dropped("a flow of IPv6 below a tag", six({.tags = {0x8100}}));
  dropped("a flow of IPv6 behind options", six({.extensions = 2}));
  passed("UDP over IPv6", {.local = kLocal6, .remote = kRemote6});
  const auto drops = filter_->drops();
  ASSERT_TRUE(drops);
  EXPECT_GE(drops->flow, 12U);
  EXPECT_EQ(drops->remote + drops->port + drops->isolation, 0U);
  ASSERT_TRUE(filter_->remove(flow(17, "10.9.0.2:4000", "10.9.0.1:53")));
  passed("the flow once it is let go", {});
  dropped("the other still", six({}));
}

TEST_P(Filter, DeepTagsAndFragments) {
  add(flow(17, "10.9.0.2:4000", "10.9.0.1:53"));
  add(flow(17, kLocal6, kRemote6));
  const Packet first{.part = Part::First, .id = 9};
  const Packet later{.part = Part::Later, .id = 9};
  dropped("a first fragment", first);
  passed("a later fragment of another datagram", {.part = Part::Later, .id = 10});
  const Packet first6{.local = kLocal6, .remote = kRemote6, .part = Part::First, .id = 9};
  dropped("a first fragment of IPv6", first6);
  passed("a fragment of another flow", {.local = "10.9.0.2:4001", .part = Part::First, .id = 11});
  if (!is_tc()) {
    return; // what nftables cannot see is said: most_tags(), and nft_filter.h of later fragments
  }
  dropped("a later fragment", later);
  dropped("a later fragment of IPv6",
          {.local = kLocal6, .remote = kRemote6, .part = Part::Later, .id = 9});
  dropped("two tags", {.tags = {0x88a8, 0x8100}});
  passed("another flow below two tags", {.local = "10.9.0.2:4001", .tags = {0x88a8, 0x8100}});
  dropped("more tags than are looked through",
          {.local = "10.9.0.2:4001", .tags = {0x88a8, 0x8100, 0x8100, 0x8100}});
  dropped("more headers than are looked through",
          {.local = "[fd09::2]:1", .remote = kRemote6, .extensions = 9});
  EXPECT_GE(filter_->drops()->unreadable, 4U);
}

TEST_P(Filter, Remotes) {
  add(remote("10.9.0.0/24"));
  add(remote("203.0.113.7"));
  add(remote("2001:db8::/33"));
  dropped("a host of the network", {});
  dropped("its ICMP", {.protocol = 1, .first_byte = 8});
  dropped("another protocol", {.protocol = 47});
  dropped("its fragments", {.part = Part::Later});
  dropped("below a tag", {.tags = {0x8100}});
  dropped("the host", {.remote = "203.0.113.7:1"});
  passed("its neighbour", {.remote = "203.0.113.6:1"});
  passed("a remote beyond", {.local = "10.9.0.2:1", .remote = "10.9.1.1:53"});
  dropped("IPv6", {.local = kLocal6, .remote = "[2001:db8:7fff::1]:1"});
  passed("IPv6 beyond", {.local = kLocal6, .remote = "[2001:db8:8000::1]:1"});
  add(remote("0.0.0.0/0"));
  dropped("any remote", {.local = "10.9.0.2:1", .remote = "10.9.1.1:53"});
  passed("no IPv6", {.local = kLocal6, .remote = kRemote6});
  EXPECT_THAT(listed(), testing::UnorderedElementsAre("remote 10.9.0.0/24", "remote 203.0.113.7",
                                                      "remote 2001:db8::/33", "remote 0.0.0.0/0"));
}

TEST_P(Filter, AnExpiredNetworkHidesNoneAroundIt) {
  add(remote("10.0.0.0/8"));
  add(remote("10.9.0.0/16"), 1s);
  add(remote("10.9.0.1"), 1s);
  ASSERT_TRUE(wait_for([&] { return listed().size() == 1; }));
  dropped("within what is still forbidden", {});
  ASSERT_TRUE(filter_->sweep());
  dropped("after the sweep", {});
}

TEST_P(Filter, Ports) {
  add(PortRule{6, 22, RuleDirection::Inbound});
  add(PortRule{17, 53, RuleDirection::Outbound});
  add(PortRule{6, 8080, RuleDirection::Both});
  dropped("inbound", {.protocol = 6, .local = "10.9.0.2:22", .remote = "10.9.0.1:999"});
  passed("the remote's port of that number",
         {.protocol = 6, .local = "10.9.0.2:999", .remote = "10.9.0.1:22"});
  passed("UDP", {.local = "10.9.0.2:22", .remote = "10.9.0.1:999"});
  dropped("outbound", {});
  passed("the guest's port of that number", {.local = "10.9.0.2:53", .remote = "10.9.0.1:9"});
  dropped("outbound, IPv6", {.local = kLocal6, .remote = kRemote6});
  dropped("either", {.protocol = 6, .local = "10.9.0.2:8080"});
  dropped("or", {.protocol = 6, .remote = "10.9.0.1:8080"});
  EXPECT_THAT(listed(), testing::UnorderedElementsAre("in tcp port 22", "out udp port 53",
                                                      "both tcp port 8080"));
  // Rules of one port are each their own.
  add(PortRule{6, 22, RuleDirection::Outbound});
  ASSERT_TRUE(filter_->remove(PortRule{6, 22, RuleDirection::Inbound}));
  passed("inbound, let go", {.protocol = 6, .local = "10.9.0.2:22", .remote = "10.9.0.1:999"});
  dropped("outbound", {.protocol = 6, .local = "10.9.0.2:999", .remote = "10.9.0.1:22"});
  EXPECT_GE(filter_->drops()->port, 8U);
}

TEST_P(Filter, Isolation) {
  const auto network = [](const char *text) { return *IpNetwork::parse(text); };
  add(IsolationRule{{network("10.9.0.7"), network("2001:db8::/32")}});
  dropped("anybody", {});
  dropped("ICMP", {.protocol = 1, .first_byte = 8});
  dropped("IPv6", {.local = kLocal6, .remote = kRemote6});
  dropped("below two tags", {.tags = {0x88a8, 0x8100}});
  passed("who is allowed", {.remote = "10.9.0.7:53"});
  passed("who is allowed, below a tag", {.remote = "10.9.0.7:53", .tags = {0x8100}});
  passed("who is allowed, IPv6", {.local = kLocal6, .remote = "[2001:db8::1]:1"});
  for (const bool from_guest : {true, false}) {
    const auto other = [&](const Bytes &mark) { return frame({}, 0x88b5, mark); };
    EXPECT_FALSE(arrives(other, from_guest)) << "another protocol of the link";
  }
  const Packet neighbour{.protocol = 58,
                         .local = "[fe80::2]:0",
                         .remote = "[fe80::1]:0",
                         .hops = 255,
                         .first_byte = 135};
  passed("neighbour discovery", neighbour);
  auto from_afar = neighbour;
  from_afar.hops = 254;
  dropped("neighbour discovery that was routed", from_afar);
  auto echo = neighbour;
  echo.first_byte = 128;
  dropped("ICMPv6", echo);
  EXPECT_TRUE(arrives(Packet{.local = "0.0.0.0:68", .remote = "255.255.255.255:67"}, true));
  EXPECT_TRUE(arrives(Packet{.local = "10.9.0.2:68", .remote = "10.9.0.254:67"}, false));
  EXPECT_FALSE(arrives(Packet{.local = "10.9.0.2:68", .remote = "203.0.113.1:67"}, true))
      << "DHCP to one host would be a way out";
  EXPECT_TRUE(arrives(Packet{.local = "[fe80::2]:546", .remote = "[ff02::1:2]:547"}, true));
  EXPECT_TRUE(arrives(Packet{.local = "[fe80::2]:546", .remote = "[fe80::1]:547"}, false));
  EXPECT_FALSE(arrives(Packet{.local = "[fe80::2]:546", .remote = "[fe80::1]:547"}, true));
  EXPECT_GE(filter_->drops()->isolation, 10U);

  add(remote("10.9.0.7"));
  dropped("a forbidden remote, allowed or not", {.remote = "10.9.0.7:53"});
  ASSERT_TRUE(filter_->remove(remote("10.9.0.7")));

  // Another isolation takes its place.
  add(IsolationRule{{network("10.9.0.8/31")}});
  dropped("who was allowed before", {.remote = "10.9.0.7:53"});
  passed("who is now", {.remote = "10.9.0.9:53"});
  EXPECT_THAT(listed(), testing::ElementsAre("all but 10.9.0.8/31"));
  EXPECT_EQ(*filter_->remaining(IsolationRule{{network("10.9.0.7")}}), std::nullopt);
  ASSERT_TRUE(filter_->remove(IsolationRule{{network("10.9.0.8/31")}}));
  passed("released", {});
}

TEST_P(Filter, AGsoFrameIsAFrame) {
  const auto send_gso = [&](const char *local) {
    Packet packet{.protocol = 6, .local = local, .remote = "10.9.0.1:443"};
    VnetHeader header{};
    header.flags = 1;    // checksum to be filled in
    header.gso_type = 1; // TCP over IPv4
    header.gso_size = 1448;
    header.hdr_len = 54;
    header.csum_start = 34;
    header.csum_offset = 16;
    return arrives(
        [&](const Bytes &mark) {
          Bytes data = mark;
          data.resize(30000);
          return frame_of(packet, true, data);
        },
        true, header);
  };
  EXPECT_TRUE(send_gso("10.9.0.2:4000"));
  add(flow(6, "10.9.0.2:4000", "10.9.0.1:443"));
  EXPECT_FALSE(send_gso("10.9.0.2:4000"));
  EXPECT_TRUE(send_gso("10.9.0.2:4001"));
}

TEST_P(Filter, OwnPacketsPassTowardsTheGuest) {
  add(IsolationRule{});
  auto injector = PacketInjector::open(netns_, "tap.0");
  ASSERT_TRUE(injector);
  const auto bypassing = [&](const Bytes &bytes) { EXPECT_TRUE(injector->to_guest(bytes)); };
  // Past no queue, and so through every filter: what lets it pass is the mark.
  const Fd queued = packet_socket(switch_, "tap.0");
  const auto marked = [&](std::uint32_t mark, const Bytes &bytes) {
    EXPECT_EQ(::setsockopt(queued.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark), 0);
    (void)::send(queued.get(), bytes.data(), bytes.size(), 0); // is told of a drop
  };
  const auto comes_when = [&](const std::function<void(const Bytes &)> &send_it) {
    const auto mark = token();
    const auto last = token();
    send_it(frame_of({}, false, mark));
    Bytes arp(28);
    arp.insert(arp.end(), last.begin(), last.end());
    send(frame({}, ETH_P_ARP, arp), false);
    return comes(mark, last, false);
  };
  EXPECT_TRUE(comes_when(bypassing));
  EXPECT_TRUE(comes_when([&](const Bytes &bytes) { marked(kOwnPacketMark, bytes); }));
  if (GetParam() != Mechanism::Bridge) { // this socket is behind the bridge's hooks
    EXPECT_FALSE(comes_when([&](const Bytes &bytes) { marked(0, bytes); }));
  }
}

TEST_P(Filter, RenewsAndShortens) {
  const auto rule = flow(17, "10.9.0.2:4000", "10.9.0.1:53");
  add(rule, 5s);
  add(rule, 100s);
  EXPECT_GT(**filter_->remaining(rule), 90s);
  EXPECT_LE(**filter_->remaining(rule), 100s);
  EXPECT_EQ(listed().size(), 1U);
  add(rule, 1s);
  ASSERT_TRUE(wait_for([&] { return !*filter_->remaining(rule); }));
  passed("after its end", {});
  EXPECT_FALSE(filter_->add(rule, 0s));
  EXPECT_FALSE(filter_->add(rule, kMostRuleTtl + 1s));
  EXPECT_EQ(filter_->add(flow(1, "10.9.0.2:0", "10.9.0.1:0"), 60s).error().code,
            ErrorCode::Unsupported);
  EXPECT_TRUE(filter_->remove(rule)) << "twice is fine";
}

TEST_P(Filter, OutlivesItsMakerAndIsTakenOver) {
  const auto kept = flow(17, "10.9.0.2:4000", "10.9.0.1:53");
  const auto brief = remote("10.9.0.5");
  filter_.reset();
  const pid_t child = ::fork();
  if (child == 0) {
    auto made = open();
    const bool added = made && (*made)->add(kept, 60s) && (*made)->add(brief, 2s) &&
                       (*made)->add(PortRule{6, 22, RuleDirection::Inbound}, 60s) &&
                       (*made)->add(IsolationRule{{*IpNetwork::parse("10.0.0.0/8")}}, 60s);
    ::kill(::getpid(), added ? SIGKILL : SIGTERM);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(WTERMSIG(status), SIGKILL);
  dropped("after kill -9", {});
  // The kernel alone ends it: nobody of ours is there.
  EXPECT_TRUE(wait_for([&] { return arrives(Packet{.remote = "10.9.0.5:53"}, true); }));
  dropped("what is not over", {});

  auto opened = open();
  ASSERT_TRUE(opened) << opened.error().message;
  filter_ = std::move(*opened);
  dropped("once taken over", {});
  EXPECT_THAT(listed(), testing::UnorderedElementsAre("udp 10.9.0.2:4000 <-> 10.9.0.1:53",
                                                      "in tcp port 22", "all but 10.0.0.0/8"));
  EXPECT_GT(**filter_->remaining(kept), 10s);
  ASSERT_TRUE(filter_->sweep());
  EXPECT_EQ(listed().size(), 3U);
  ASSERT_TRUE(filter_->remove(kept));
  passed("once undone", {});
}

TEST_P(Filter, ATapMadeAnewIsFilteredAnew) {
  add(flow(17, "10.9.0.2:4000", "10.9.0.1:53"));
  tap_.reset();
  EXPECT_FALSE(filter_->add(flow(17, "10.9.0.2:4000", "10.9.0.1:53"), 60s)) << "no such tap";
  make_tap();
  ASSERT_TRUE(run("ip -n " + switch_ + " link set tap.0 master br0 up"));
  ASSERT_TRUE(wait_for([&] { return arrives(Packet{.local = "10.9.0.2:1"}, true); }));
  add(flow(17, "10.9.0.2:4000", "10.9.0.1:53"));
  dropped("again", {});
}

TEST_P(Filter, AnOperatorsOwnStaysAsItIs) {
  const std::string in = "ip netns exec " + switch_ + " ";
  ASSERT_TRUE(run(in +
                  "nft 'add table bridge operator; add chain bridge operator c { type filter "
                  "hook forward priority 0; policy accept; }; add rule bridge operator c ether "
                  "type arp accept; add table netdev operator; add chain netdev operator c { "
                  "type filter hook ingress device tap.0 priority 0; policy accept; }'"));
  // A filter that says OK to everything: a program behind it would see nothing.
  const int priority = GetParam() == Mechanism::Classic ? 5 : 1;
  ASSERT_TRUE(run(in + "tc qdisc add dev tap.0 clsact") || GetParam() == Mechanism::Classic);
  for (const char *way : {"ingress", "egress"}) {
    ASSERT_TRUE(run(in + "tc filter add dev tap.0 " + way + " prio " + std::to_string(priority) +
                    " protocol all u32 match u32 0 0 flowid 1:1"));
  }
  const auto theirs = [&] {
    return output_of(in + "nft list table bridge operator") +
           output_of(in + "nft list table netdev operator") +
           output_of(in + "tc filter show dev tap.0 ingress prio " + std::to_string(priority)) +
           output_of(in + "tc filter show dev tap.0 egress prio " + std::to_string(priority)) +
           output_of(in + "tc qdisc show dev tap.0") + output_of(in + "bridge -d link show dev w");
  };
  const std::string before = theirs();
  ASSERT_NE(before.find("flowid"), std::string::npos) << before;
  ASSERT_NE(before.find("hook ingress"), std::string::npos) << before;
  const auto rule = flow(17, "10.9.0.2:4000", "10.9.0.1:53");
  add(rule);
  add(IsolationRule{{*IpNetwork::parse("10.0.0.0/8")}});
  dropped("before the operator's filter", {});
  EXPECT_EQ(theirs(), before);
  ASSERT_TRUE(filter_->remove_all());
  EXPECT_EQ(theirs(), before);
  passed("once all is removed", {});
  EXPECT_EQ(output_of(in + "nft list tables").find("outguard"), std::string::npos);
  add(rule);
  dropped("a filter that is used again", {});
}

TEST_P(Filter, ARuleThatWasNeverAnnouncedIsNotInForce) {
  if (!is_tc()) {
    GTEST_SKIP() << "of the maps of tc-bpf";
  }
  // A supervisor that was killed between the two writes of a rule.
  const auto wanted = flow(17, "10.9.0.2:4000", "10.9.0.1:53");
  add(wanted);
  const auto &settings = dynamic_cast<TcFilter &>(*filter_).program()->maps().settings;
  auto now = *settings.get(0).value();
  now.kinds = 0;
  ASSERT_TRUE(settings.set(0, now));
  passed("what the program does not look for", {});
  EXPECT_EQ(filter_->remaining(wanted).value(), std::nullopt);
  EXPECT_EQ(listed(), std::vector<std::string>());
  add(wanted);
  dropped("what was added again", {});
  EXPECT_TRUE(filter_->remaining(wanted).value());
}

TEST_P(Filter, AFullTableIsAnError) {
  const PortRule one_more{6, 65535, RuleDirection::Inbound};
  if (is_tc()) {
    for (unsigned port = 1; port <= tap::kMostPorts; ++port) {
      ASSERT_TRUE(
          filter_->add(PortRule{6, static_cast<std::uint16_t>(port), RuleDirection::Inbound}, 60s));
    }
  } else {
    const char *family = GetParam() == Mechanism::Netdev ? "netdev" : "bridge";
    const std::string python = "python3 -c 'print(\"add element " + std::string(family) +
                               " outguard_tap.0 ports_in { \" + \", \".join(f\"{p} . {n} timeout "
                               "60s\" for p in (6, 17) for n in range(32768)) + \" }\")'";
    ASSERT_TRUE(run(python + " | ip netns exec " + switch_ + " nft -f -"));
  }
  const auto added = filter_->add(one_more, 60s);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, ErrorCode::LimitReached) << added.error().message;
  // What is removed or, with eBPF, has expired and is still there, makes room.
  if (is_tc()) {
    ASSERT_TRUE(filter_->add(PortRule{6, 1, RuleDirection::Inbound}, 1s));
  } else {
    ASSERT_TRUE(filter_->remove(PortRule{6, 1, RuleDirection::Inbound}));
  }
  EXPECT_TRUE(wait_for([&] { return filter_->add(one_more, 60s).has_value(); }));
}

std::string name_of(const testing::TestParamInfo<Mechanism> &about) {
  constexpr std::array kNames{"Tcx", "Classic", "Netdev", "Bridge"};
  return kNames.at(static_cast<std::size_t>(about.param));
}

INSTANTIATE_TEST_SUITE_P(Mechanisms, Filter,
                         testing::Values(Mechanism::Tcx, Mechanism::Classic, Mechanism::Netdev,
                                         Mechanism::Bridge),
                         name_of);

} // namespace
} // namespace outguard::respond
