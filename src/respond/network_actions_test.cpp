// Blocks, resets and wakes against the kernel's own TCP and UDP, in namespaces made for the test:
//   guest ── "tap" (a veth here) ── bridge ── world. Needs root and nftables; skipped loudly
//   without.
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hypervisor/network_namespace.h"
#include "respond/network_actions.h"

namespace outguard::respond {
namespace {

using hypervisor::in_namespace;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

bool run(const std::string &command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

class Network : public testing::Test {
protected:
  void SetUp() override {
    const std::string id = "og" + std::to_string(::getpid());
    guest_ = id + "g";
    switch_ = id + "s";
    world_ = id + "w";
    if (::geteuid() != 0 || !run("ip netns add " + switch_)) {
      GTEST_SKIP() << "SKIPPED: needs root, iproute2 and network namespaces";
    }
    for (const auto &name : {guest_, world_}) {
      ASSERT_TRUE(run("ip netns add " + name));
    }
    const std::string in_switch = "ip -n " + switch_ + " ";
    const std::string setup =
        in_switch + "link add br0 type bridge forward_delay 0 mcast_snooping 0 && " + in_switch +
        "link add tap.0 type veth peer name eth0 netns " + guest_ + " && " + in_switch +
        "link add w type veth peer name eth0 netns " + world_ + " && " + in_switch +
        "link set tap.0 master br0 up && " + in_switch + "link set w master br0 up && " +
        in_switch + "link set lo up && " + in_switch + "link set br0 up && " + in_switch +
        "addr add 10.9.0.254/24 dev br0 && " + address(guest_, "2") + " && " + address(world_, "1");
    ASSERT_TRUE(run(setup));
    netns_ = open(switch_);
    auto actions = TapActions::open(open(switch_), "tap.0");
    ASSERT_TRUE(actions) << actions.error().message;
    actions_ = std::move(*actions);
  }
  void TearDown() override {
    if (actions_) { // what is pinned outlives the namespaces
      (void)actions_->filter().map([](TapFilter *filter) { return filter->remove_all(); });
    }
    for (const auto &name : {guest_, switch_, world_}) {
      (void)run("ip netns delete " + name);
    }
  }
  static std::string address(const std::string &netns, const std::string &last) {
    const std::string in = "ip -n " + netns + " ";
    return in + "addr add 10.9.0." + last + "/24 dev eth0 && " + in + "addr add fd09::" + last +
           "/64 dev eth0 nodad && " + in + "link set eth0 up && " + in + "link set lo up";
  }
  static Fd open(const std::string &netns) {
    return Fd(::open(("/run/netns/" + netns).c_str(), O_RDONLY | O_CLOEXEC));
  }
  /// Sockets that never block a test for long.
  static Fd socket_in(const std::string &netns, IpFamily family, int type) {
    auto made = in_namespace(open(netns), [&]() -> Result<Fd> {
      Fd fd(::socket(family == IpFamily::V4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0));
      const timeval limit{0, 300'000};
      ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
      return fd;
    });
    return made ? std::move(*made) : Fd();
  }
  struct Address {
    sockaddr_storage storage{};
    socklen_t length = 0;
    explicit Address(const std::string &text) {
      const auto endpoint = *Endpoint::parse(text);
      if (endpoint.address.family == IpFamily::V4) {
        auto &in = reinterpret_cast<sockaddr_in &>(storage);
        in.sin_family = AF_INET;
        in.sin_port = htons(endpoint.port);
        std::memcpy(&in.sin_addr, endpoint.address.bytes.data(), 4);
        length = sizeof in;
      } else {
        auto &in = reinterpret_cast<sockaddr_in6 &>(storage);
        in.sin6_family = AF_INET6;
        in.sin6_port = htons(endpoint.port);
        std::memcpy(&in.sin6_addr, endpoint.address.bytes.data(), 16);
        length = sizeof in;
      }
    }
    [[nodiscard]] const sockaddr *get() const {
      return reinterpret_cast<const sockaddr *>(&storage);
    }
  };
  static MacAddress mac(const std::string &netns, const std::string &device) {
    MacAddress address{};
    const std::string command =
        "ip -n " + netns + " -br link show " + device + " | grep -o '[0-9a-f:]\\{17\\}' | head -1";
    FILE *pipe = ::popen(command.c_str(), "r");
    std::array<unsigned, 6> parts{};
    if (std::fscanf(pipe, "%x:%x:%x:%x:%x:%x", &parts[0], &parts[1], &parts[2], &parts[3],
                    &parts[4], &parts[5]) == 6) {
      std::copy(parts.begin(), parts.end(), address.begin());
    }
    ::pclose(pipe);
    return address;
  }
  [[nodiscard]] FlowSeen flow(IpProtocol protocol, const std::string &local,
                              const std::string &remote) const {
    FlowSeen seen;
    seen.tuple = {static_cast<std::uint8_t>(protocol), *Endpoint::parse(local),
                  *Endpoint::parse(remote)};
    seen.guest_mac = mac(guest_, "eth0");
    seen.remote_mac = mac(world_, "eth0");
    return seen;
  }

  /// An established connection from the guest, and where it stands.
  struct Connection {
    Fd listener, guest, world;
    FlowSeen flow;
  };
  /// The kernel's own numbers, by TCP_REPAIR.
  static std::uint32_t next_to_send(const Fd &socket) {
    const int on = 1;
    const int off = -1; // without a window probe
    const int queue = TCP_SEND_QUEUE;
    std::uint32_t sequence = 0;
    socklen_t length = sizeof sequence;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_REPAIR, &on, sizeof on);
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof queue);
    ::getsockopt(socket.get(), IPPROTO_TCP, TCP_QUEUE_SEQ, &sequence, &length);
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_REPAIR, &off, sizeof off);
    return sequence;
  }
  [[nodiscard]] Connection connect(const std::string &local, const std::string &remote) const {
    Connection made;
    const auto family = Endpoint::parse(local)->address.family;
    made.listener = socket_in(world_, family, SOCK_STREAM);
    const Address there(remote);
    const Address here(local);
    EXPECT_EQ(::bind(made.listener.get(), there.get(), there.length), 0) << std::strerror(errno);
    EXPECT_EQ(::listen(made.listener.get(), 1), 0);
    made.guest = socket_in(guest_, family, SOCK_STREAM);
    EXPECT_EQ(::bind(made.guest.get(), here.get(), here.length), 0) << std::strerror(errno);
    EXPECT_EQ(::connect(made.guest.get(), there.get(), there.length), 0) << std::strerror(errno);
    made.world = Fd(::accept(made.listener.get(), nullptr, nullptr));
    const timeval limit{0, 300'000};
    ::setsockopt(made.world.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    made.flow = flow(IpProtocol::Tcp, local, remote);
    EXPECT_TRUE(passes(made.guest, made.world));
    EXPECT_TRUE(passes(made.world, made.guest));
    made.flow.tcp = {next_to_send(made.guest), next_to_send(made.world), true, true};
    return made;
  }
  static bool passes(const Fd &from, const Fd &to) {
    std::array<char, 8> buffer{};
    return ::send(from.get(), "x", 1, MSG_NOSIGNAL) == 1 &&
           ::recv(to.get(), buffer.data(), buffer.size(), 0) == 1;
  }
  /// errno of the next read: ECONNRESET at once, or EAGAIN after the time limit.
  static int read_error(const Fd &socket) {
    char byte = 0;
    errno = 0;
    const ssize_t got = ::recv(socket.get(), &byte, 1, 0);
    return got < 0 ? errno : 0;
  }

  std::string guest_, switch_, world_;
  Fd netns_;
  std::unique_ptr<TapActions> actions_;
};

TEST_F(Network, ResetsBothEndsOfALiveConnection) {
  for (const auto &[local, remote] :
       {std::pair("10.9.0.2:4001", "10.9.0.1:80"), std::pair("[fd09::2]:4001", "[fd09::1]:80")}) {
    const auto connection = connect(local, remote);
    const auto sent = actions_->reset(connection.flow, {connection.flow.tcp, connection.flow.tcp});
    ASSERT_TRUE(sent) << sent.error().message;
    EXPECT_EQ(read_error(connection.guest), ECONNRESET);
    EXPECT_EQ(read_error(connection.world), ECONNRESET);
  }
}

TEST_F(Network, ANumberThatIsOffResetsNothing) {
  const auto connection = connect("10.9.0.2:4002", "10.9.0.1:80");
  auto wrong = connection.flow.tcp;
  wrong.guest_next += 1;
  wrong.remote_next += 1;
  ASSERT_TRUE(actions_->reset(connection.flow, {wrong, wrong}));
  EXPECT_EQ(read_error(connection.guest), EAGAIN);
  EXPECT_EQ(read_error(connection.world), EAGAIN);
}

TEST_F(Network, BlocksBothWaysOnlyThatFlowAndLetsGo) {
  for (const auto mechanism : {FilterMechanism::NftNetdev, FilterMechanism::NftBridge}) {
    const bool netdev = mechanism == FilterMechanism::NftNetdev;
    const auto other =
        connect(netdev ? "10.9.0.2:4003" : "10.9.0.2:4013", netdev ? "10.9.0.1:81" : "10.9.0.1:83");
    const auto bad = connect(netdev ? "[fd09::2]:4004" : "[fd09::2]:4014",
                             netdev ? "[fd09::1]:82" : "[fd09::1]:84");
    const auto opened = open_tap_filter(open(switch_), "tap.0", mechanism);
    ASSERT_TRUE(opened) << opened.error().message;
    const auto &filter = opened->filter;
    const FlowRule rule{bad.flow.tuple};
    const auto blocked = filter->add(rule, 60s);
    ASSERT_TRUE(blocked) << blocked.error().message;
    EXPECT_FALSE(passes(bad.guest, bad.world));
    EXPECT_FALSE(passes(bad.world, bad.guest));
    EXPECT_TRUE(passes(other.guest, other.world));
    EXPECT_TRUE(passes(other.world, other.guest));
    ASSERT_TRUE(filter->remaining(rule));
    EXPECT_GT(**filter->remaining(rule), 50s);
    ASSERT_TRUE(filter->remove(rule));
    EXPECT_EQ(*filter->remaining(rule), std::nullopt);
    ASSERT_TRUE(filter->remove(rule)) << "undo twice";
    ASSERT_TRUE(filter->remove_all());
  }
}

TEST_F(Network, ABlockEndsByItselfAndRenewingExtendsIt) {
  auto &filter = **actions_->filter();
  const auto seen = flow(IpProtocol::Udp, "10.9.0.2:4005", "10.9.0.1:53");
  ASSERT_TRUE(actions_->block(seen, 1s));
  ASSERT_TRUE(actions_->block(seen, 100s));
  EXPECT_GT(**filter.remaining(FlowRule{seen.tuple}), 90s);
  ASSERT_TRUE(actions_->block(seen, 1s)) << "shortening works too";
  for (int i = 0; i < 60 && *filter.remaining(FlowRule{seen.tuple}); ++i) {
    ::usleep(50'000);
  }
  EXPECT_EQ(*filter.remaining(FlowRule{seen.tuple}), std::nullopt);
  EXPECT_FALSE(actions_->block(seen, 0s)) << "no block without an end";
  EXPECT_FALSE(actions_->block(seen, std::chrono::hours(24 * 365)));
}

TEST_F(Network, ABlockFindsItsTapAgainAndTouchesNoOtherTable) {
  ASSERT_TRUE(run("ip netns exec " + switch_ + " nft add table inet operator"));
  const auto opened = open_tap_filter(open(switch_), "tap.0", FilterMechanism::NftNetdev);
  ASSERT_TRUE(opened) << opened.error().message;
  auto &filter = *opened->filter;
  const FlowRule rule{flow(IpProtocol::Udp, "10.9.0.2:4006", "10.9.0.1:53").tuple};
  ASSERT_TRUE(filter.add(rule, 60s));
  // The tap goes and comes back, as when a VM is started again.
  ASSERT_TRUE(run("ip -n " + switch_ + " link delete tap.0"));
  ASSERT_TRUE(run("ip -n " + switch_ + " link add tap.0 type veth peer name eth0 netns " + guest_));
  const auto again = filter.add(rule, 60s);
  EXPECT_TRUE(again) << again.error().message;
  EXPECT_TRUE(run("ip netns exec " + switch_ +
                  " nft list chain netdev outguard_tap.0 from_guest | grep 'tap.0'"));
  // An operator's reload begins with "flush ruleset".
  ASSERT_TRUE(run("ip netns exec " + switch_ + " nft flush ruleset"));
  EXPECT_EQ(*filter.remaining(rule), std::nullopt);
  EXPECT_TRUE(filter.add(rule, 60s));
  ASSERT_TRUE(run("ip netns exec " + switch_ + " nft add table inet operator"));
  ASSERT_TRUE(filter.remove_all());
  EXPECT_TRUE(run("ip netns exec " + switch_ + " nft list table inet operator"));
  EXPECT_FALSE(run("ip netns exec " + switch_ + " nft list table netdev outguard_tap.0"));
}

TEST_F(Network, BlocksOutliveWhoMadeThem) {
  const auto seen = flow(IpProtocol::Udp, "10.9.0.2:4007", "10.9.0.1:53");
  ASSERT_TRUE(actions_->block(seen, 60s));
  actions_.reset();
  const auto later = open_tap_filter(open(switch_), "tap.0");
  ASSERT_TRUE(later);
  EXPECT_TRUE(*later->filter->remaining(FlowRule{seen.tuple}));
  EXPECT_TRUE(later->filter->remove_all());
}

TEST_F(Network, ABlockedFlowIsStillReset) {
  const auto connection = connect("10.9.0.2:4008", "10.9.0.1:80");
  ASSERT_TRUE(actions_->block(connection.flow, 60s));
  // What the guest sends now reaches nobody, and capture counts it all the same.
  EXPECT_FALSE(passes(connection.guest, connection.world));
  auto now = connection.flow.tcp;
  now.guest_next += 1;
  const auto sent = actions_->reset(connection.flow, {now, connection.flow.tcp});
  ASSERT_TRUE(sent) << sent.error().message;
  EXPECT_EQ(read_error(connection.guest), ECONNRESET);
  EXPECT_EQ(read_error(connection.world), ECONNRESET);
}

TEST_F(Network, WakesReadersOfUdpSockets) {
  for (const auto &[local, remote, family] :
       {std::tuple("10.9.0.2:4009", "10.9.0.1:9", IpFamily::V4),
        std::tuple("[fd09::2]:4009", "[fd09::1]:9", IpFamily::V6)}) {
    const auto seen = flow(IpProtocol::Udp, local, remote);
    const Address here(local);
    const Address there(remote);
    {
      const Fd connected = socket_in(guest_, family, SOCK_DGRAM);
      ASSERT_EQ(::bind(connected.get(), here.get(), here.length), 0);
      ASSERT_EQ(::connect(connected.get(), there.get(), there.length), 0);
      ASSERT_TRUE(actions_->wake(seen, {}));
      EXPECT_EQ(read_error(connected), ECONNREFUSED);
    }
    const Fd open_to_all = socket_in(guest_, family, SOCK_DGRAM);
    ASSERT_EQ(::bind(open_to_all.get(), here.get(), here.length), 0);
    ASSERT_TRUE(actions_->wake(seen, {}));
    EXPECT_EQ(read_error(open_to_all), 0) << "an empty datagram";
  }
}

TEST_F(Network, TheHostsOwnConnectionsAreNeverReset) {
  const Fd listener = socket_in(switch_, IpFamily::V4, SOCK_STREAM);
  const Address there("10.9.0.254:80");
  ASSERT_EQ(::bind(listener.get(), there.get(), there.length), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  const Fd guest = socket_in(guest_, IpFamily::V4, SOCK_STREAM);
  const Address here("10.9.0.2:4010");
  ASSERT_EQ(::bind(guest.get(), here.get(), here.length), 0);
  ASSERT_EQ(::connect(guest.get(), there.get(), there.length), 0);
  Fd host(::accept(listener.get(), nullptr, nullptr));
  const timeval limit{0, 300'000};
  ::setsockopt(host.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  auto seen = flow(IpProtocol::Tcp, "10.9.0.2:4010", "10.9.0.254:80");
  seen.remote_mac = mac(switch_, "br0");
  const TcpPosition position{next_to_send(guest), next_to_send(host), true, true};
  EXPECT_EQ(actions_->check_reset(seen, {position, position}).error().code, ErrorCode::Refused);
  const auto sent = actions_->reset(seen, {position, position});
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, ErrorCode::Refused);
  EXPECT_EQ(read_error(guest), ECONNRESET) << "the guest's own end may be";
  EXPECT_EQ(read_error(host), EAGAIN);
}

TEST_F(Network, ARoutedRemoteEndIsReset) {
  auto connection = connect("10.9.0.2:4015", "10.9.0.1:80");
  connection.flow.remote_mac = mac(switch_, "br0"); // as where the host is the guest's next hop
  const ResetPositions positions{connection.flow.tcp, connection.flow.tcp};
  const auto sent = actions_->reset(connection.flow, positions);
  ASSERT_TRUE(sent) << sent.error().message;
  EXPECT_EQ(read_error(connection.world), ECONNRESET);
}

TEST_F(Network, RoutingKnowsWhatIsNoOtherHost) {
  ASSERT_TRUE(run("ip -n " + switch_ + " addr add fd09::fe/64 dev br0 nodad"));
  const auto check = [&](const std::string &remote) {
    auto seen = flow(IpProtocol::Tcp, "10.9.0.2:1", remote);
    seen.tuple.local.address.family = seen.tuple.remote.address.family;
    seen.remote_mac = mac(switch_, "br0");
    const TcpPosition position{1, 2, true, true};
    return actions_->check_reset(seen, {position, position});
  };
  EXPECT_TRUE(check("10.9.0.1:1"));
  EXPECT_TRUE(check("[fd09::1]:1"));
  for (const char *own : {"10.9.0.254:1", "127.0.0.1:1", "10.9.0.255:1", "224.0.0.1:1",
                          "[fd09::fe]:1", "[::1]:1", "[ff02::1]:1"}) {
    EXPECT_FALSE(check(own)) << own;
  }
}

TEST_F(Network, ABridgeFilterNeedsABridge) {
  const auto seen = flow(IpProtocol::Udp, "10.9.0.2:4012", "10.9.0.1:53");
  ASSERT_TRUE(run("ip -n " + switch_ + " link set tap.0 nomaster"));
  const auto open_bridge = [&] {
    return open_tap_filter(open(switch_), "tap.0", FilterMechanism::NftBridge);
  };
  const auto routed = open_bridge();
  ASSERT_FALSE(routed) << "said to be blocked, and nothing is";
  EXPECT_EQ(routed.error().code, ErrorCode::Unsupported);
  EXPECT_THAT(routed.error().message, HasSubstr("no port of a bridge"));
  EXPECT_FALSE(run("ip netns exec " + switch_ + " nft list table bridge outguard_tap.0"));
  ASSERT_TRUE(run("ip -n " + switch_ + " link set tap.0 master br0"));
  const auto bridged = open_bridge();
  ASSERT_TRUE(bridged) << bridged.error().message;
  EXPECT_TRUE(bridged->filter->add(FlowRule{seen.tuple}, 60s));
}

TEST_F(Network, SaysWhatItCannotDo) {
  auto seen = flow(IpProtocol::Tcp, "10.9.0.2:4011", "10.9.0.1:80");
  EXPECT_EQ(actions_->reset(seen, {}).error().code, ErrorCode::Unsupported);
  seen.vlans = {1, 2, 3};
  EXPECT_EQ(actions_->block(seen, 60s).error().code, ErrorCode::Unsupported);
  const TcpPosition known{1, 2, true, true};
  EXPECT_EQ(actions_->reset(seen, {known, known}).error().code, ErrorCode::Unsupported);
  EXPECT_EQ(actions_->wake(seen, known).error().code, ErrorCode::Unsupported);
  seen.vlans.clear();
  seen.tunnels = {TunnelKind::Vxlan};
  EXPECT_EQ(actions_->block(seen, 60s).error().code, ErrorCode::Unsupported);
  EXPECT_EQ(actions_->reset(seen, {known, known}).error().code, ErrorCode::Unsupported);
  EXPECT_EQ(actions_->wake(seen, known).error().code, ErrorCode::Unsupported);
  seen.tunnels.clear();
  seen.tuple.remote = *Endpoint::parse("[fd09::1]:80");
  EXPECT_EQ(actions_->reset(seen, {known, known}).error().code, ErrorCode::InvalidInput);
  const auto icmp = flow(IpProtocol::Icmp, "10.9.0.2:0", "10.9.0.1:0");
  EXPECT_EQ(actions_->block(icmp, 60s).error().code, ErrorCode::Unsupported);
  EXPECT_EQ(actions_->reset(flow(IpProtocol::Udp, "10.9.0.2:1", "10.9.0.1:2"), {}).error().code,
            ErrorCode::Unsupported);
  EXPECT_EQ(open_tap_filter(open(switch_), "tap\"; flush ruleset", FilterMechanism::NftNetdev)
                .error()
                .code,
            ErrorCode::Unsupported);
  EXPECT_EQ(open_tap_filter(open(switch_), "no-such-tap").error().code, ErrorCode::NotFound);
  EXPECT_FALSE(run("ip netns exec " + switch_ + " nft list table netdev outguard_no-such-tap"))
      << "a failed block must leave nothing behind";
}

} // namespace
} // namespace outguard::respond
