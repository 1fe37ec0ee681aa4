// Held packets at a real tap of a bridge (tap_test_tools.h) by TCX and by classic filters. Needs
// root and /dev/net/tun; what this host cannot do is skipped loudly. The bpffs is the test's own.
#include <csignal>
#include <set>

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/wait.h>

#include "respond/hold_gate.h"
#include "respond/packet_injector.h"
#include "respond/tap_test_tools.h"
#include "respond/tc_filter.h"
#include "respond/test_judge.h"

namespace outguard::respond {
namespace {

using namespace std::chrono_literals;

class Hold : public testing::TestWithParam<TapHook>, protected TapWorld {
protected:
  static constexpr std::uint64_t kBound = 200'000'000;

  void SetUp() override {
    const bool own_bpffs = mount_own_bpffs();
    if (!make_namespaces() || !own_bpffs) {
      GTEST_SKIP() << "SKIPPED: needs root, iproute2, network namespaces, /dev/net/tun and a bpffs";
    }
    ASSERT_TRUE(make_devices());
    const int on = 1;
    for (const int option : {PACKET_VNET_HDR, PACKET_AUXDATA}) {
      ASSERT_EQ(::setsockopt(world_socket_.get(), SOL_PACKET, option, &on, sizeof on), 0);
    }
    const auto through = [&] {
      const auto mark = token();
      push(frame_of({}, true, mark), true);
      return comes(mark, true);
    };
    ASSERT_TRUE(wait_for(through)) << "the bridge forwards nothing";
    if (const auto why = HoldGate::why_not()) {
      GTEST_SKIP() << "SKIPPED: " << *why;
    }
    open({.to_guest = true, .bound_ns = kBound});
    if (GetParam() == TapHook::Newest && !gate_->program().is_tcx()) {
      GTEST_SKIP() << "SKIPPED: this kernel has no TCX";
    }
  }
  void TearDown() override {
    judge_.reset();
    if (gate_) {
      EXPECT_TRUE(gate_->remove());
    }
    remove_world();
  }
  void open(const HoldSettings &settings) {
    auto opened = HoldGate::open(netns_, "tap.0", settings, GetParam());
    ASSERT_TRUE(opened) << opened.error().message;
    gate_.emplace(std::move(*opened));
  }
  void judge(TestJudge::Decide decide) {
    judge_.reset();
    auto descriptors = gate_->judge_descriptors();
    ASSERT_TRUE(descriptors) << descriptors.error().message;
    judge_.emplace(std::move(*descriptors), std::move(decide));
    ASSERT_TRUE(judge_->is_mapped());
  }
  void judge_all(HoldVerdict verdict) {
    judge([=](const WholeFrame &) { return verdict; });
  }
  [[nodiscard]] HoldCounts counts() const {
    const auto counts = gate_->counts();
    EXPECT_TRUE(counts);
    return counts.value_or(HoldCounts{});
  }

  struct Came {
    HoldHeader header;
    Bytes bytes;
  };
  /// What came out at the far end, by the token in it, in order.
  class Arrivals : public std::vector<Came> {
  public:
    [[nodiscard]] std::size_t count(const Bytes &mark) const {
      return static_cast<std::size_t>(
          std::count_if(begin(), end(), [&](const Came &came) { return holds(came.bytes, mark); }));
    }
  };
  static bool holds(const Bytes &bytes, const Bytes &mark) {
    return ::memmem(bytes.data(), bytes.size(), mark.data(), mark.size()) != nullptr;
  }
  std::optional<Came> receive(bool from_guest, std::chrono::milliseconds wait) const {
    pollfd waiting{from_guest ? world_socket_.get() : tap_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(wait.count())) <= 0) {
      return std::nullopt;
    }
    std::vector<std::uint8_t> buffer;
    if (from_guest) {
      const auto frame = receive_whole(waiting.fd, buffer);
      return frame ? std::optional(Came{frame->header, {frame->bytes.begin(), frame->bytes.end()}})
                   : std::nullopt;
    }
    buffer.resize(70000);
    const ssize_t got = ::read(waiting.fd, buffer.data(), buffer.size());
    Came came;
    if (got < static_cast<ssize_t>(sizeof came.header)) {
      return std::nullopt;
    }
    std::memcpy(&came.header, buffer.data(), sizeof came.header);
    came.bytes.assign(buffer.begin() + sizeof came.header, buffer.begin() + got);
    return came;
  }
  /// Until nothing came for so long.
  Arrivals received(bool from_guest, std::chrono::milliseconds quiet = 60ms) const {
    Arrivals all;
    while (auto came = receive(from_guest, quiet)) {
      all.push_back(std::move(*came));
    }
    return all;
  }
  /// Until `last` came.
  Arrivals received_until(const Bytes &last, bool from_guest) const {
    Arrivals all;
    while (all.count(last) == 0) {
      auto came = receive(from_guest, 5s);
      if (!came) {
        ADD_FAILURE() << "the last packet never came";
        return all;
      }
      all.push_back(std::move(*came));
    }
    return all;
  }
  void push(const Bytes &bytes, bool from_guest, HoldHeader header = {}) const {
    Bytes whole(sizeof header);
    std::memcpy(whole.data(), &header, sizeof header);
    whole.insert(whole.end(), bytes.begin(), bytes.end());
    EXPECT_EQ(::write(from_guest ? tap_.get() : world_socket_.get(), whole.data(), whole.size()),
              static_cast<ssize_t>(whole.size()));
  }
  /// Whether `mark` comes before all is quiet.
  [[nodiscard]] bool comes(const Bytes &mark, bool from_guest) const {
    while (const auto came = receive(from_guest, 80ms)) {
      if (holds(came->bytes, mark)) {
        return true;
      }
    }
    return false;
  }
  [[nodiscard]] bool passes(const Packet &packet, bool from_guest = true) const {
    const auto mark = token();
    push(frame_of(packet, from_guest, mark), from_guest);
    return comes(mark, from_guest);
  }
  static Packet udp(unsigned local_port, unsigned remote_port = 53) {
    return {.local = "10.9.0.2:" + std::to_string(local_port),
            .remote = "10.9.0.1:" + std::to_string(remote_port)};
  }
  /// With data a segment of a connection; a SYN carries a token too.
  static Bytes tcp(unsigned local_port, std::uint8_t flags, bool from_guest, const Bytes &data) {
    Packet packet = udp(local_port, 443);
    packet.protocol = 6;
    Bytes bytes = frame_of(packet, from_guest, data);
    bytes.at(14 + 20 + 13) = flags;
    return bytes;
  }
  static bool is_remote_port(const WholeFrame &frame, unsigned port) {
    const auto at = (frame.mark & kHeldToGuest) != 0 ? 34U : 36U;
    return frame.bytes.size() > 38 && frame.bytes[at] == port >> 8 &&
           frame.bytes[at + 1] == (port & 255);
  }

  std::optional<HoldGate> gate_;
  std::optional<TestJudge> judge_;
};

constexpr std::uint8_t kSyn = 2, kSynAck = 0x12, kAck = 0x10;

TEST_P(Hold, WhatIsAllowedPassesUnchanged) {
  judge_all(HoldVerdict::Allow);
  const std::array packets{
      Packet{},
      Packet{.protocol = 6},
      Packet{.protocol = 1, .first_byte = 8},
      Packet{.protocol = 132},
      Packet{.local = "10.9.0.2:4001", .extensions = 3},
      Packet{.tags = {0x8100}},
      Packet{.tags = {0x88a8, 0x8100}},
      Packet{.local = "[fd09::2]:4000", .remote = "[fd09::1]:53"},
      Packet{.protocol = 58, .local = "[fd09::2]:0", .remote = "[fd09::1]:0", .first_byte = 128},
      Packet{.protocol = 6, .local = "[fd09::2]:1", .remote = "[fd09::1]:2", .extensions = 2},
      Packet{.local = "[fd09::2]:1", .remote = "[fd09::1]:2", .tags = {0x8100}, .extensions = 1}};
  for (const bool from_guest : {true, false}) {
    ASSERT_TRUE(gate_->forget_verdicts());
    for (std::size_t i = 0; i < packets.size(); ++i) {
      const auto before = counts();
      const auto mark = token();
      const Bytes sent = frame_of(packets.at(i), from_guest, mark);
      push(sent, from_guest);
      const auto came = received_until(mark, from_guest);
      ASSERT_FALSE(came.empty());
      EXPECT_EQ(came.back().bytes, sent) << i << " from guest: " << from_guest;
      EXPECT_EQ(came.back().header.flags & 1, 0);
      EXPECT_EQ(counts().held, before.held + 1) << i;
      EXPECT_EQ(counts().allowed, before.allowed + 1) << i;
      // And once allowed it never comes to the judge again, in neither way.
      EXPECT_TRUE(passes(packets.at(i), from_guest)) << i;
      EXPECT_TRUE(passes(packets.at(i), !from_guest)) << i;
      EXPECT_EQ(counts().held, before.held + 1) << i;
    }
  }
  EXPECT_EQ(counts().forged, 0U);
}

TEST_P(Hold, ChecksumsToBeFilledInAndGsoFramesStayAsTheyAre) {
  judge_all(HoldVerdict::Allow);
  for (const std::size_t tags : {0U, 1U}) {
    Packet packet{.protocol = 6, .remote = "10.9.0.1:443"};
    packet.tags.assign(tags, 0x8100);
    const auto mark = token();
    Bytes data = mark;
    data.resize(60000);
    const Bytes sent = frame_of(packet, true, data);
    const HoldHeader header{.flags = 1,
                            .gso_type = 1, // TCP over IPv4
                            .header_bytes = static_cast<std::uint16_t>(54 + 4 * tags),
                            .segment_bytes = 1448,
                            .checksum_start = static_cast<std::uint16_t>(34 + 4 * tags),
                            .checksum_offset = 16};
    const auto before = counts();
    push(sent, true, header);
    const auto held = received_until(mark, true);
    EXPECT_EQ(counts().held, before.held + 1);
    push(sent, true, header); // now past the judge: what the world makes of it anyway
    const auto direct = received_until(mark, true);
    EXPECT_EQ(counts().held, before.held + 1);
    ASSERT_FALSE(held.empty() || direct.empty());
    EXPECT_EQ(held.back().bytes, sent);
    EXPECT_EQ(held.back().bytes, direct.back().bytes);
    EXPECT_EQ(held.back().header.flags, 1);
    EXPECT_EQ(held.back().header.gso_type, 1);
    EXPECT_EQ(held.back().header.segment_bytes, 1448);
    EXPECT_EQ(std::memcmp(&held.back().header, &direct.back().header, sizeof(HoldHeader)), 0);
  }
}

TEST_P(Hold, WhatIsRefusedNeverArrives) {
  judge([](const WholeFrame &frame) {
    return is_remote_port(frame, 53) || frame.bytes[12] == 0x86 ? HoldVerdict::Refuse
                                                                : HoldVerdict::Allow;
  });
  for (const bool from_guest : {true, false}) {
    ASSERT_TRUE(gate_->forget_verdicts());
    const auto before = counts();
    const auto bad = token();
    for (unsigned i = 0; i < 1000; ++i) {
      Packet packet = udp(1024 + i);
      packet.protocol = i % 3 == 0 ? 6 : 17;
      if (i % 3 == 2) {
        packet.local = "[fd09::2]:" + std::to_string(1024 + i);
        packet.remote = "[fd09::1]:53";
      }
      push(frame_of(packet, from_guest, bad), from_guest);
      push(frame_of(packet, from_guest, bad), from_guest);
      if (i % 50 == 49) { // not faster than judged
        ASSERT_TRUE(wait_for([&] {
          return counts().refused + counts().refused_after >=
                 before.refused + before.refused_after + 2 * (i + 1);
        }));
      }
    }
    const auto last = token();
    push(frame_of(udp(9, 99), from_guest, last), from_guest);
    EXPECT_EQ(received_until(last, from_guest).count(bad), 0U);
  }
  EXPECT_EQ(counts().allowed, 2U);
}

TEST_P(Hold, PacketsOfAFlowStayInOrder) {
  judge([](const WholeFrame &) {
    std::this_thread::sleep_for(300us);
    return HoldVerdict::Allow;
  });
  for (const bool from_guest : {true, false}) {
    ASSERT_TRUE(gate_->forget_verdicts());
    for (unsigned flow = 0; flow < 10; ++flow) {
      const auto mark = token();
      Bytes last;
      for (std::uint16_t i = 0; i < 60; ++i) {
        Bytes data = mark;
        data.push_back(static_cast<std::uint8_t>(i));
        last = data;
        push(frame_of(udp(2000 + flow), from_guest, data), from_guest);
        if (i > 20) {
          ::usleep(i); // so that some find the verdict
        }
      }
      const auto came = received_until(last, from_guest);
      unsigned expected = 0;
      for (const auto &one : came) {
        if (holds(one.bytes, mark)) {
          EXPECT_EQ(one.bytes.back(), expected++) << "flow " << flow;
        }
      }
      EXPECT_EQ(expected, 60U);
    }
  }
  EXPECT_GT(counts().held, 40U);
  EXPECT_EQ(counts().forged, 0U);
}

TEST_P(Hold, ADeadJudgeFailsOpenOrClosed) {
  judge_all(HoldVerdict::Allow);
  ASSERT_TRUE(passes(udp(1)));
  EXPECT_TRUE(*gate_->has_judge());
  judge_.reset();
  ASSERT_TRUE(wait_for([&] { return !*gate_->has_judge(); }));
  EXPECT_TRUE(passes(udp(2))) << "open";
  EXPECT_EQ(counts().dead_open, 1U);

  ASSERT_TRUE(gate_->set({.to_guest = true, .fail_open = false, .bound_ns = kBound}));
  EXPECT_FALSE(passes(udp(2))) << "closed, and nobody allowed it";
  EXPECT_FALSE(passes(udp(3), false));
  EXPECT_TRUE(passes(udp(1))) << "what was allowed goes on";
  EXPECT_TRUE(passes(udp(1), false));
  EXPECT_EQ(counts().dead_closed, 2U);
  // What the link is built of is never held.
  for (const bool from_guest : {true, false}) {
    const auto mark = token();
    Bytes arp(28);
    arp.insert(arp.end(), mark.begin(), mark.end());
    push(frame({}, ETH_P_ARP, arp), from_guest);
    EXPECT_TRUE(comes(mark, from_guest));
  }
  EXPECT_TRUE(passes({.protocol = 58,
                      .local = "[fe80::2]:0",
                      .remote = "[fe80::1]:0",
                      .hops = 255,
                      .first_byte = 135}));
  EXPECT_TRUE(passes({.local = "0.0.0.0:68", .remote = "255.255.255.255:67"}));
  EXPECT_FALSE(passes({.local = "10.9.0.2:68", .remote = "203.0.113.1:67"}));

  judge_all(HoldVerdict::Allow);
  EXPECT_TRUE(passes(udp(2))) << "a new judge";
}

TEST_P(Hold, AStalledJudgeIsFullAtABound) {
  ASSERT_TRUE(gate_->set({.to_guest = true, .fail_open = false, .bound_ns = kBound}));
  judge_all(HoldVerdict::Allow);
  ASSERT_TRUE(passes(udp(1)));
  judge_->stall(true);
  for (unsigned i = 0; i < 2000; ++i) {
    push(frame_of(udp(3000 + i), true, token()), true);
  }
  for (unsigned i = 0; i < 200; ++i) {
    push(frame_of(udp(2999), true, token()), true);
  }
  EXPECT_GE(counts().full_closed, 2000U - kMostWaitingPackets);
  EXPECT_LE(counts().held, 2U + kMostWaitingPackets); // one was being read
  EXPECT_TRUE(passes(udp(1))) << "what was allowed goes on";
  ASSERT_TRUE(gate_->set({.to_guest = true, .fail_open = true, .bound_ns = kBound}));
  EXPECT_TRUE(passes(udp(9999))) << "full, open";
  judge_->stall(false);
  ASSERT_TRUE(wait_for([&] { return counts().allowed == counts().held; }));
  (void)received(true);
  const auto before = counts();
  EXPECT_TRUE(passes(udp(9998)));
  EXPECT_EQ(counts().held, before.held + 1) << "room again";
}

TEST_P(Hold, OneFlowCannotTakeAllTheRoom) {
  judge_all(HoldVerdict::Allow);
  judge_->stall(true);
  for (unsigned i = 0; i < 3 * kMostWaitingOfFlow; ++i) {
    push(frame_of(udp(1), true, token()), true);
  }
  EXPECT_EQ(counts().held, kMostWaitingOfFlow);
  EXPECT_EQ(counts().crowded, 2 * kMostWaitingOfFlow);
}

TEST_P(Hold, AFloodTakesNobodysVerdict) {
  judge([](const WholeFrame &frame) {
    return is_remote_port(frame, 53) ? HoldVerdict::Allow : HoldVerdict::Refuse;
  });
  for (unsigned i = 0; i < 50; ++i) {
    ASSERT_TRUE(passes(udp(100 + i)));
  }
  const auto before = counts();
  for (unsigned i = 0; i < 8000; ++i) {
    push(tcp(1024 + i, kSyn, true, {}), true);
    if (i % 800 == 799) {
      ASSERT_TRUE(wait_for([&] { return counts().held == counts().allowed + counts().refused; }));
    }
  }
  EXPECT_GT(counts().refused, before.refused + 4000);
  const auto flooded = counts();
  for (unsigned i = 0; i < 50; ++i) {
    EXPECT_TRUE(passes(udp(100 + i)));
  }
  EXPECT_EQ(counts().held, flooded.held) << "no allowed flow was judged again";
}

TEST_P(Hold, APacketLetOutOnceIsFollowedByTheNext) {
  std::vector<std::uint32_t> flags;
  judge([&](const WholeFrame &frame) {
    flags.push_back(frame.mark & ~kHoldMarkMask);
    return holds({frame.bytes.begin(), frame.bytes.end()}, {'b', 'a', 'd'}) ? HoldVerdict::Refuse
           : holds({frame.bytes.begin(), frame.bytes.end()}, {'g', 'o', 'o', 'd'})
               ? HoldVerdict::Allow
               : HoldVerdict::Once;
  });
  const auto sends = [&](unsigned port, std::uint8_t tcp_flags, bool from_guest, const char *text) {
    Bytes data = token();
    const Bytes mark = data;
    data.insert(data.end(), text, text + std::strlen(text));
    push(tcp(port, tcp_flags, from_guest, data), from_guest);
    return comes(mark, from_guest);
  };
  EXPECT_TRUE(sends(1, kSyn, true, ""));
  EXPECT_TRUE(sends(1, kSynAck, false, "")) << "the other way is free";
  EXPECT_TRUE(sends(1, kAck, true, ""));
  EXPECT_EQ(counts().held, 2U);
  EXPECT_TRUE(sends(1, kAck, true, "good"));
  EXPECT_TRUE(sends(1, kAck, true, "bad, but nobody looks any more"));
  EXPECT_EQ(counts().held, 3U);
  EXPECT_TRUE(sends(2, kSyn, true, ""));
  EXPECT_FALSE(sends(2, kAck, true, "bad"));
  EXPECT_FALSE(sends(2, kAck, true, "good"));
  EXPECT_FALSE(sends(2, kAck, false, "answer")) << "refused is refused both ways";
  EXPECT_TRUE(sends(1, kSyn, true, "")) << "the same tuple opened anew is judged anew";
  EXPECT_FALSE(sends(1, kAck, true, "bad"));
  judge_.reset();
  EXPECT_THAT(flags, testing::ElementsAre(0, kHeldAgain, kHeldAgain, 0, kHeldAgain, 0, kHeldAgain));
}

TEST_P(Hold, TheOtherEndsSynDoesNotCutAnAllowedFlow) {
  judge([](const WholeFrame &frame) {
    return (frame.mark & kHeldToGuest) != 0 ? HoldVerdict::Refuse : HoldVerdict::Allow;
  });
  const auto sends = [&](std::uint8_t flags, bool from_guest) {
    const auto mark = token();
    push(tcp(1, flags, from_guest, mark), from_guest);
    return comes(mark, from_guest);
  };
  EXPECT_TRUE(sends(kSyn, true));
  EXPECT_TRUE(sends(kSynAck, false));
  EXPECT_FALSE(sends(kSyn, false)) << "forged";
  EXPECT_TRUE(sends(kAck, true));
  EXPECT_TRUE(sends(kAck, false));
}

TEST_P(Hold, FragmentsFollowTheirFirst) {
  judge([](const WholeFrame &frame) {
    return (frame.mark & kHeldLater) != 0 ? HoldVerdict::Follow
           : is_remote_port(frame, 53)    ? HoldVerdict::Allow
                                          : HoldVerdict::Refuse;
  });
  const auto sends = [&](Packet packet, bool from_guest, std::uint16_t id) {
    packet.id = id;
    packet.part = Part::First;
    const auto first = token();
    const auto later = token();
    push(frame_of(packet, from_guest, first), from_guest);
    packet.part = Part::Later;
    push(frame_of(packet, from_guest, later), from_guest);
    const auto came = received(from_guest);
    return came.count(first) + came.count(later);
  };
  const Packet six{.local = "[fd09::2]:4000", .remote = "[fd09::1]:53", .extensions = 1};
  for (const bool from_guest : {true, false}) {
    EXPECT_EQ(sends(udp(1), from_guest, 1), 2U) << "held";
    EXPECT_EQ(sends(udp(1), from_guest, 2), 2U) << "past the judge";
    EXPECT_EQ(sends(udp(2, 54), from_guest, 3), 0U);
    EXPECT_EQ(sends(udp(2, 54), from_guest, 4), 0U) << "by the verdict";
    Packet stray = udp(1);
    stray.part = Part::Later;
    stray.id = 77;
    EXPECT_FALSE(passes(stray, from_guest)) << "whose first nobody saw";
  }
  judge([](const WholeFrame &frame) {
    return (frame.mark & kHeldLater) != 0 ? HoldVerdict::Follow : HoldVerdict::Allow;
  });
  EXPECT_EQ(sends(six, true, 5), 2U);
  EXPECT_EQ(counts().astray, 2U);
}

TEST_P(Hold, OnlyTheJudgedWayIsHeld) {
  ASSERT_TRUE(gate_->set({.bound_ns = kBound, .allow_other_ns = 300'000'000}));
  judge_all(HoldVerdict::Refuse);
  EXPECT_TRUE(passes(udp(1), false)) << "another end opens it";
  EXPECT_TRUE(passes(udp(1), true)) << "and is answered";
  EXPECT_FALSE(passes(udp(2), true));
  EXPECT_EQ(counts().held, 1U);
  EXPECT_FALSE(passes(udp(2), false)) << "a refused flow";
  // A judgement that is over is not replaced by the remote's next packet.
  judge_all(HoldVerdict::Allow);
  EXPECT_TRUE(passes(udp(3), true));
  judge_all(HoldVerdict::Refuse);
  ASSERT_TRUE(gate_->forget_verdicts());
  EXPECT_TRUE(passes(udp(3), false));
  EXPECT_FALSE(passes(udp(3), true));
}

TEST_P(Hold, AVerdictEnds) {
  ASSERT_TRUE(
      gate_->set({.bound_ns = kBound, .allow_other_ns = 150'000'000, .refuse_ns = 150'000'000}));
  judge([](const WholeFrame &frame) {
    return is_remote_port(frame, 53) ? HoldVerdict::Allow : HoldVerdict::Refuse;
  });
  EXPECT_TRUE(passes(udp(1)));
  EXPECT_FALSE(passes(udp(1, 54)));
  ::usleep(200'000);
  EXPECT_TRUE(passes(udp(1)));
  EXPECT_FALSE(passes(udp(1, 54)));
  EXPECT_EQ(counts().held, 4U);
}

TEST_P(Hold, AJudgeCanLetOutNothingElse) {
  judge_all(HoldVerdict::Allow);
  ASSERT_TRUE(passes(udp(1)));
  const auto mark = token();
  const auto sends = [&](Bytes bytes) {
    WholeFrame frame;
    frame.bytes = bytes;
    (void)TestJudge::answer(
        judge_->descriptors().at(answer_descriptor(HoldWay::FromGuest, HoldVerdict::Allow)).get(),
        frame);
    return received(true).count(mark);
  };
  EXPECT_EQ(sends(frame_of(udp(1), true, mark)), 0U) << "a copy of what is out already";
  EXPECT_EQ(sends(frame_of(udp(7), true, mark)), 0U) << "a flow of its own";
  EXPECT_EQ(sends(frame({}, ETH_P_ARP, mark)), 0U);
  EXPECT_EQ(counts().forged, 3U);
  judge_->stall(true);
  ::usleep(60'000);
  push(frame_of(udp(8), true, token()), true);
  Bytes other_sender = frame_of(udp(8), true, mark);
  other_sender.at(11) ^= 1;
  EXPECT_EQ(sends(other_sender), 0U) << "another MAC";
  EXPECT_EQ(counts().forged, 4U);
}

TEST_P(Hold, OutlivesItsMakerAndIsTakenOver) {
  judge([](const WholeFrame &frame) {
    return is_remote_port(frame, 53) ? HoldVerdict::Allow : HoldVerdict::Refuse;
  });
  ASSERT_TRUE(gate_->set(
      {.to_guest = true, .fail_open = false, .bound_ns = kBound, .refuse_ns = 600'000'000'000}));
  ASSERT_TRUE(passes(udp(1)));
  ASSERT_FALSE(passes(udp(2, 54)));
  judge_.reset();
  gate_.reset();
  EXPECT_TRUE(passes(udp(1))) << "nobody of ours is there";
  EXPECT_FALSE(passes(udp(2, 54)));
  EXPECT_FALSE(passes(udp(3)));
  const pid_t child = ::fork(); // one that is killed right after it took over
  if (child == 0) {
    auto opened =
        HoldGate::open(netns_, "tap.0", {.fail_open = false, .bound_ns = kBound}, GetParam());
    ::kill(::getpid(), opened ? SIGKILL : SIGTERM);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_TRUE(passes(udp(1)));
  open({.to_guest = true, .fail_open = false, .bound_ns = kBound});
  EXPECT_TRUE(gate_->is_attached());
  EXPECT_GE(counts().held, 2U) << "counts go on";
  judge_all(HoldVerdict::Allow);
  const auto before = counts();
  EXPECT_TRUE(passes(udp(1)));
  EXPECT_FALSE(passes(udp(2, 54))) << "verdicts are kept";
  EXPECT_EQ(counts().held, before.held);
  EXPECT_TRUE(passes(udp(3)));
}

TEST_P(Hold, LeavesNothingBehind) {
  const std::string in = "ip netns exec " + switch_ + " ";
  const auto all = [&] {
    // Without states and carriers, which settle by themselves.
    return output_of(in + "ip -o link | sed 's/ state [A-Z]*//; s/NO-CARRIER,//'") +
           output_of(in + "tc filter show dev tap.0 ingress") +
           output_of(in + "tc filter show dev tap.0 egress") + output_of(in + "nft list ruleset") +
           output_of("find /sys/fs/bpf -mindepth 1");
  };
  ASSERT_TRUE(gate_->remove());
  ASSERT_TRUE(run(in + "nft add table netdev operator"));
  ASSERT_TRUE(run(in + "tc qdisc add dev tap.0 clsact") || GetParam() == TapHook::Classic);
  ASSERT_TRUE(run(in + "tc filter add dev tap.0 ingress prio 5 protocol all u32 match u32 0 0 "
                       "flowid 1:1"));
  const auto before = all();
  open({.to_guest = true, .bound_ns = kBound});
  EXPECT_NE(all(), before);
  judge_all(HoldVerdict::Refuse);
  EXPECT_FALSE(passes(udp(1))) << "before an operator's filter that says OK";
  EXPECT_EQ(output_of(in + "ip -o -6 addr show").find("og-"), std::string::npos);
  judge_.reset();
  ASSERT_TRUE(gate_->remove());
  EXPECT_EQ(all(), before);
  EXPECT_TRUE(passes(udp(1)));
  EXPECT_FALSE(gate_->is_attached());
}

TEST_P(Hold, ATapMadeAnewIsHeldAnew) {
  judge_.reset();
  tap_.reset();
  EXPECT_FALSE(gate_->is_attached());
  make_tap();
  ASSERT_TRUE(run("ip -n " + switch_ + " link set tap.0 master br0 up"));
  ASSERT_TRUE(wait_for([&] { return passes(udp(1)); }));
  open({.to_guest = true, .bound_ns = kBound});
  const auto devices = output_of("ip -n " + switch_ + " -o link");
  EXPECT_EQ(devices.find("og-hold"), devices.rfind("og-hold", devices.rfind("og-hold") - 1))
      << devices;
  judge_all(HoldVerdict::Refuse);
  EXPECT_FALSE(passes(udp(2)));
}

TEST_P(Hold, BlocksWinOverTheJudge) {
  for (const bool block_first : {false, true}) {
    if (block_first) {
      ASSERT_TRUE(gate_->remove());
    }
    auto filter = TcFilter::open(netns_, "tap.0", GetParam());
    ASSERT_TRUE(filter) << filter.error().message;
    const Packet blocked = udp(1);
    ASSERT_TRUE((*filter)->add(
        FlowRule{{17, *Endpoint::parse(blocked.local), *Endpoint::parse(blocked.remote)}}, 60s));
    if (block_first) {
      open({.to_guest = true, .bound_ns = kBound});
    }
    judge_all(HoldVerdict::Allow);
    for (int i = 0; i < 3; ++i) {
      EXPECT_FALSE(passes(blocked, true));
      EXPECT_FALSE(passes(blocked, false));
    }
    EXPECT_TRUE(passes(udp(2), true));
    EXPECT_TRUE(passes(udp(3), false));
    EXPECT_GE((*filter)->drops()->flow, 6U);
    ASSERT_TRUE((*filter)->remove_all());
    EXPECT_TRUE(gate_->is_attached()) << "removing the filter leaves the gate";
    judge_.reset();
  }
}

TEST_P(Hold, MarksOfPacketsAreGivenBack) {
  judge_all(HoldVerdict::Allow);
  const std::string in = "ip netns exec " + switch_ + " ";
  ASSERT_TRUE(run(in +
                  "nft 'add table bridge t; add chain bridge t c { type filter hook forward "
                  "priority 0; }; add rule bridge t c meta mark 0 counter; add rule bridge t c "
                  "meta mark != 0 counter'"));
  EXPECT_TRUE(passes(udp(1)));
  const auto rules = output_of(in + "nft list table bridge t");
  EXPECT_EQ(rules.find("mark 0x00000000 counter packets 0 "), std::string::npos) << rules;
  EXPECT_NE(rules.find("!= 0x00000000 counter packets 0 "), std::string::npos) << rules;
}

TEST(HoldGate, SaysWhyNot) {
  const auto why = HoldGate::why_not("/proc");
  ASSERT_TRUE(why);
  EXPECT_THAT(*why, testing::HasSubstr("bpffs"));
  EXPECT_FALSE(check_hold_settings({.bound_ns = 1}));
  EXPECT_FALSE(check_hold_settings({.refuse_ns = 0}));
  EXPECT_TRUE(check_hold_settings({}));
}

INSTANTIATE_TEST_SUITE_P(Hooks, Hold, testing::Values(TapHook::Newest, TapHook::Classic),
                         [](const auto &about) {
                           return about.param == TapHook::Newest ? "Tcx" : "Classic";
                         });

} // namespace
} // namespace outguard::respond
