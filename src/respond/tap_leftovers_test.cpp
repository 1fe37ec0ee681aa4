// What is left at a tap, taken over and cleared away, on veth pairs:  sender ── tap0 in a namespace
// of its own. Needs root and iproute2; what this host cannot do is skipped loudly.
#include <atomic>
#include <thread>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hypervisor/network_namespace.h"
#include "respond/nft_filter.h"
#include "respond/tap_leftovers.h"
#include "respond/tap_test_tools.h"
#include "respond/tc_filter.h"

namespace outguard::respond {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

Fd udp_socket(const Fd &netns, const char *own) {
  auto made = hypervisor::in_namespace(netns, [&]() -> Result<Fd> {
    Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(7000);
    ::inet_pton(AF_INET, own, &address.sin_addr);
    if (::bind(fd.get(), reinterpret_cast<sockaddr *>(&address), sizeof address) != 0) {
      return fail_errno("bind");
    }
    return fd;
  });
  return made ? std::move(*made) : Fd();
}

/// A datagram a millisecond, from the guest's side, until it ends.
class Sender {
public:
  explicit Sender(Fd from) : from_(std::move(from)), thread_([this] { send(); }) {}
  ~Sender() {
    ending_ = true;
    thread_.join();
  }
  Sender(const Sender &) = delete;
  Sender &operator=(const Sender &) = delete;
  [[nodiscard]] std::uint64_t sent() const { return sent_; }

private:
  void send() {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(7000);
    ::inet_pton(AF_INET, "10.9.0.1", &to.sin_addr);
    while (!ending_) {
      sent_ += ::sendto(from_.get(), "x", 1, 0, reinterpret_cast<sockaddr *>(&to), sizeof to) == 1;
      ::usleep(1000);
    }
  }
  Fd from_;
  std::atomic<bool> ending_ = false;
  std::atomic<std::uint64_t> sent_ = 0;
  std::thread thread_;
};

class Leftovers : public testing::Test {
protected:
  void SetUp() override {
    const std::string id = "ogl" + std::to_string(::getpid());
    switch_ = id + "s";
    guest_ = id + "g";
    if (::geteuid() != 0 || !run("ip netns add " + switch_) || !run("ip netns add " + guest_)) {
      GTEST_SKIP() << "SKIPPED: needs root, iproute2 and network namespaces";
    }
    if (!mount_own_bpffs()) {
      GTEST_SKIP() << "SKIPPED: no bpffs can be mounted here";
    }
    netns_ = open("/run/netns/" + switch_);
    for (const std::string number : {"0", "1"}) {
      ASSERT_TRUE(run("ip -n " + switch_ + " link add tap" + number + " type veth peer name eth" +
                      number + " netns " + guest_ + " && ip -n " + switch_ + " link set tap" +
                      number + " up && ip -n " + guest_ + " link set eth" + number + " up"));
    }
    ASSERT_TRUE(run("ip -n " + switch_ + " addr add 10.9.0.1/24 dev tap0"));
    ASSERT_TRUE(run("ip -n " + guest_ + " addr add 10.9.0.2/24 dev eth0"));
    receiver_ = udp_socket(netns_, "10.9.0.1");
    ASSERT_TRUE(receiver_);
  }
  void TearDown() override {
    (void)run("ip netns delete " + switch_);
    (void)run("ip netns delete " + guest_);
    TapProgram::remove_dead(netns_);
  }
  static Fd open(const std::string &path) { return Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)); }
  [[nodiscard]] std::string in_switch(const std::string &command) const {
    return output_of("ip netns exec " + switch_ + " " + command);
  }
  [[nodiscard]] std::uint64_t received() const {
    std::uint64_t count = 0;
    char byte = 0;
    while (::recv(receiver_.get(), &byte, 1, 0) == 1) {
      ++count;
    }
    return count;
  }
  template <class Condition> static bool soon(Condition condition) {
    bool holds = false;
    for (int i = 0; i < 400 && !holds; ++i) {
      ::usleep(10'000);
      holds = condition();
    }
    return holds;
  }
  [[nodiscard]] std::string pins(const char *tap) const {
    const auto index = in_switch(std::string("cat /sys/class/net/") + tap + "/ifindex");
    return std::string(kBpfFilesystem) + "/outguard/" +
           std::to_string(*hypervisor::namespace_inode(netns_)) + "-" +
           std::to_string(std::atoi(index.c_str())) + "-v" + std::to_string(tap::kTapLayout);
  }
  [[nodiscard]] Fd guest() const { return open("/run/netns/" + guest_); }

  std::string switch_, guest_;
  Fd netns_, receiver_;
  const RemoteRule rule_{*IpNetwork::parse("10.9.0.1")};
};

TEST_F(Leftovers, OfATapThatIsGoneGoAndNothingElseDoes) {
  for (const auto hook : {TapHook::Newest, TapHook::Classic}) {
    const auto tc = TcFilter::open(netns_, "tap0", hook);
    const auto nft = open_tap_filter(netns_, "tap0", FilterMechanism::NftNetdev);
    const auto kept = TcFilter::open(netns_, "tap1", hook);
    const auto kept_nft = open_tap_filter(netns_, "tap1", FilterMechanism::NftNetdev);
    ASSERT_TRUE(tc && nft && kept && kept_nft);
    ASSERT_TRUE((*tc)->add(rule_, 600s));
    ASSERT_TRUE(nft->filter->add(rule_, 600s));
    ASSERT_TRUE((*kept)->add(rule_, 600s));
    ASSERT_TRUE(kept_nft->filter->add(rule_, 600s));
    // An operator's own, one by a name like ours.
    for (const char *own :
         {"nft add table netdev operator", "nft add table netdev outguard_tap0x",
          "tc qdisc replace dev tap1 clsact",
          "tc filter replace dev tap1 ingress prio 7 protocol all u32 match u32 0 0 classid 1:1"}) {
      ASSERT_TRUE(run("ip netns exec " + switch_ + " " + own)) << own;
    }
    const auto gone = pins("tap0");
    ASSERT_TRUE(remove_leftovers(netns_)) << "while both are there";
    EXPECT_TRUE((*tc)->remaining(rule_)->has_value());
    EXPECT_TRUE(nft->filter->remaining(rule_)->has_value());
    ASSERT_TRUE(run("ip -n " + switch_ + " link delete tap0"));
    ASSERT_EQ(::access(gone.c_str(), F_OK), 0) << "a dead supervisor removes nothing";

    const auto removed = remove_leftovers(netns_);
    ASSERT_TRUE(removed) << removed.error().message;
    EXPECT_NE(::access(gone.c_str(), F_OK), 0);
    const auto tables = in_switch("nft list tables");
    EXPECT_THAT(tables, Not(HasSubstr("outguard_tap0\n")));
    EXPECT_THAT(tables, HasSubstr("netdev operator"));
    EXPECT_THAT(tables, HasSubstr("netdev outguard_tap0x"));
    EXPECT_THAT(in_switch("tc filter show dev tap1 ingress"), HasSubstr("u32"));
    EXPECT_TRUE((*kept)->remaining(rule_)->has_value());
    EXPECT_TRUE(kept_nft->filter->remaining(rule_)->has_value());
    ASSERT_TRUE((*kept)->remove_all());
    ASSERT_TRUE(kept_nft->filter->remove_all());
    ASSERT_TRUE(
        run("ip -n " + switch_ + " link add tap0 type veth peer name eth0 netns " + guest_));
  }
}

TEST_F(Leftovers, SweepingMakesNoFilterAndKeepsWhatIsInForce) {
  ASSERT_TRUE(sweep_tap(netns_, "tap1"));
  EXPECT_NE(::access(pins("tap1").c_str(), F_OK), 0);
  auto filter = TcFilter::open(netns_, "tap1");
  ASSERT_TRUE(filter);
  const PortRule brief{6, 80, RuleDirection::Outbound};
  ASSERT_TRUE((*filter)->add(rule_, 600s));
  ASSERT_TRUE((*filter)->add(brief, 1s));
  const auto &ports = dynamic_cast<TcFilter &>(**filter).program()->maps().ports;
  ::sleep(1);
  ASSERT_TRUE(soon([&] { return !(*filter)->remaining(brief)->has_value(); }));
  EXPECT_EQ(ports.entries(10)->size(), 1U) << "ended, and still in the kernel's table";
  ASSERT_TRUE(sweep_tap(netns_, "tap1"));
  EXPECT_EQ(ports.entries(10)->size(), 0U);
  EXPECT_TRUE((*filter)->remaining(rule_)->has_value());
}

TEST_F(Leftovers, MapsThatDoNotFitAreReplacedWithoutAGap) {
  auto old = TcFilter::open(netns_, "tap0");
  ASSERT_TRUE(old) << old.error().message;
  if (!dynamic_cast<TcFilter &>(**old).program()->is_tcx()) {
    GTEST_SKIP() << "SKIPPED: this kernel has no TCX, and a classic filter is replaced whole";
  }
  const Sender sender(udp_socket(guest(), "10.9.0.2"));
  ASSERT_TRUE(soon([&] { return received() > 0; }));
  ASSERT_TRUE((*old)->add(rule_, 600s));
  ::usleep(20'000); // what is on its way
  (void)received();
  // As a build with other maps under the same name would have left them.
  old->reset();
  const Fd other(::bpf_map_create(BPF_MAP_TYPE_HASH, "flows", 4, 4, 16, nullptr));
  const auto path = pins("tap0") + "/flows";
  ASSERT_EQ(::unlink(path.c_str()), 0);
  ASSERT_EQ(::bpf_obj_pin(other.get(), path.c_str()), 0);

  const auto before = sender.sent();
  auto fresh = TcFilter::open(netns_, "tap0");
  ASSERT_TRUE(fresh) << fresh.error().message;
  EXPECT_TRUE((*fresh)->list()->empty());
  ::usleep(50'000);
  EXPECT_EQ(received(), 0U) << "the old filter is at work until it is swept";
  ASSERT_TRUE((*fresh)->add(rule_, 600s));
  ASSERT_TRUE((*fresh)->sweep());
  EXPECT_TRUE(soon([&] { return sender.sent() > before + 200; }));
  EXPECT_EQ(received(), 0U);
  EXPECT_GT((*fresh)->drops()->remote, 0U) << "the new one drops them now";
  ASSERT_TRUE((*fresh)->remove(rule_));
  EXPECT_TRUE(soon([&] { return received() > 0; })) << "nothing of the old one is left";
}

TEST_F(Leftovers, RulesOfNftablesMoveToTcWithoutAGap) {
  const auto lesser = open_tap_filter(netns_, "tap0", FilterMechanism::NftNetdev);
  ASSERT_TRUE(lesser) << lesser.error().message;
  const Sender sender(udp_socket(guest(), "10.9.0.2"));
  ASSERT_TRUE(soon([&] { return received() > 0; }));
  const PortRule other{6, 80, RuleDirection::Outbound};
  ASSERT_TRUE(lesser->filter->add(rule_, 600s));
  ASSERT_TRUE(lesser->filter->add(other, 600s));
  ::usleep(20'000);
  (void)received();

  const auto before = sender.sent();
  const auto best = open_tap_filter(netns_, "tap0");
  ASSERT_TRUE(best) << best.error().message;
  EXPECT_STREQ(best->filter->mechanism(), "tc-bpf");
  EXPECT_TRUE(soon([&] { return sender.sent() > before + 200; }));
  EXPECT_EQ(received(), 0U);
  EXPECT_EQ(best->filter->list()->size(), 2U);
  EXPECT_GT(**best->filter->remaining(rule_), 590s);
  EXPECT_THAT(in_switch("nft list tables"), Not(HasSubstr("outguard_tap0")));
  ASSERT_TRUE(best->filter->remove(rule_));
  EXPECT_TRUE(soon([&] { return received() > 0; }));
}

TEST_F(Leftovers, AnotherFilterOfTheTapMayHaveMadeSets) {
  const auto one = open_tap_filter(netns_, "tap0", FilterMechanism::NftNetdev);
  const auto other = open_tap_filter(netns_, "tap0", FilterMechanism::NftNetdev);
  ASSERT_TRUE(one && other);
  ASSERT_TRUE(one->filter->add(IsolationRule{{*IpNetwork::parse("10.8.0.0/16")}}, 600s));
  ASSERT_TRUE(other->filter->add(IsolationRule{{*IpNetwork::parse("10.9.0.0/24")}}, 600s));
  const IsolationRule last{{*IpNetwork::parse("10.8.0.0/16")}};
  const auto added = one->filter->add(last, 600s);
  ASSERT_TRUE(added) << added.error().message;
  EXPECT_TRUE(other->filter->remaining(last)->has_value()) << "10.9.0.0/24 passes no more";
  ASSERT_TRUE(one->filter->remove_all());
}

} // namespace
} // namespace outguard::respond
