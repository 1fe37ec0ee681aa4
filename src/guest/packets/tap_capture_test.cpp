// LiveSource on a real tap in a network namespace of its own: which way packets go, VLAN tags, and
// how late the ring hands over. Needs CAP_SYS_ADMIN, CAP_NET_ADMIN and /dev/net/tun; skips loudly
// without.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/packets/live_source.h"
#include "guest/testing/message_builder.h"

namespace outguard::guest {
namespace {

constexpr char kTap[] = "ogtest0";

class TapTest : public testing::Test {
protected:
  /// Each test runs in a thread of its own, whose namespace goes with it.
  template <class Body> void in_namespace(Body body) {
    std::string skipped;
    std::thread([&] {
      if (unshare(CLONE_NEWNET) != 0 || !make_tap()) {
        skipped = std::strerror(errno);
        return;
      }
      body();
    }).join();
    if (!skipped.empty()) {
      GTEST_SKIP() << "no network namespace with a tap on this machine: " << skipped;
    }
  }

  bool make_tap() {
    tap_ = Fd(open("/dev/net/tun", O_RDWR | O_CLOEXEC));
    ifreq request{};
    std::memcpy(request.ifr_name, kTap, sizeof kTap);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (ioctl(tap_.get(), TUNSETIFF, &request) != 0) {
      return false;
    }
    Fd control(socket(AF_INET, SOCK_DGRAM, 0));
    request.ifr_flags = IFF_UP | IFF_NOARP;
    return ioctl(control.get(), SIOCSIFFLAGS, &request) == 0;
  }

  /// What the privileged side does, in small.
  std::unique_ptr<LiveSource> open_ring(const PacketRing &ring) {
    Fd capture(socket(AF_PACKET, SOCK_RAW, 0));
    const int version = TPACKET_V3;
    EXPECT_EQ(setsockopt(capture.get(), SOL_PACKET, PACKET_VERSION, &version, sizeof version), 0);
    tpacket_req3 request{};
    request.tp_block_size = ring.block_size;
    request.tp_block_nr = ring.block_count;
    request.tp_frame_size = ring.frame_size;
    request.tp_frame_nr = ring.block_size / ring.frame_size * ring.block_count;
    request.tp_retire_blk_tov = static_cast<unsigned>(ring.retire_timeout_ns / 1'000'000);
    EXPECT_EQ(setsockopt(capture.get(), SOL_PACKET, PACKET_RX_RING, &request, sizeof request), 0);
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(if_nametoindex(kTap));
    EXPECT_EQ(bind(capture.get(), reinterpret_cast<sockaddr *>(&address), sizeof address), 0);
    auto source = LiveSource::open(std::move(capture), ring);
    EXPECT_TRUE(source);
    return source ? std::move(*source) : nullptr;
  }

  void guest_sends(const Bytes &frame) {
    EXPECT_EQ(write(tap_.get(), frame.data(), frame.size()), static_cast<ssize_t>(frame.size()));
  }
  void host_sends(const Bytes &frame) {
    Fd sender(socket(AF_PACKET, SOCK_RAW, 0));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_ifindex = static_cast<int>(if_nametoindex(kTap));
    EXPECT_EQ(sendto(sender.get(), frame.data(), frame.size(), 0,
                     reinterpret_cast<sockaddr *>(&address), sizeof address),
              static_cast<ssize_t>(frame.size()));
  }
  static Bytes marked(std::string_view mark, std::uint16_t vlan = 0) {
    PacketBuilder packet(endpoint("10.0.0.1:7777"), endpoint("192.0.2.7:7777"));
    packet.udp().payload(mark);
    return (vlan != 0 ? packet.vlan(vlan) : packet).build();
  }
  /// Waits for the marked frame; others on the link are passed over.
  static std::optional<PacketView> wait_for(LiveSource &source, std::string_view mark) {
    for (int tries = 0; tries < 100; ++tries) {
      const auto batch = source.next();
      for (const PacketView &view : batch.value_or(std::span<const PacketView>{})) {
        if (std::search(view.bytes.begin(), view.bytes.end(), mark.begin(), mark.end()) !=
            view.bytes.end()) {
          return view;
        }
      }
      if (batch && batch->empty()) {
        pollfd ready{source.descriptor(), POLLIN, 0};
        (void)poll(&ready, 1, 50);
      }
    }
    return std::nullopt;
  }

  Fd tap_;
};

TEST_F(TapTest, DirectionsTagsAndLatency) {
  in_namespace([&] {
    const auto source = open_ring({});
    ASSERT_NE(source, nullptr);
    guest_sends(marked("out"));
    const auto out = wait_for(*source, "out");
    ASSERT_TRUE(out);
    EXPECT_EQ(out->direction, FlowDirection::ToRemote);
    host_sends(marked("in"));
    const auto in = wait_for(*source, "in");
    ASSERT_TRUE(in);
    EXPECT_EQ(in->direction, FlowDirection::ToGuest);
    guest_sends(marked("tagged", 77));
    const auto tagged = wait_for(*source, "tagged");
    ASSERT_TRUE(tagged);
    ASSERT_TRUE(tagged->outer_tag); // the kernel takes the tag out of the frame
    EXPECT_EQ(tagged->outer_tag->control & 0xfff, 77);
    EXPECT_EQ(source->counters().bad_records, 0U);

    using Clock = std::chrono::system_clock;
    std::vector<double> late;
    for (int i = 0; i < 60; ++i) {
      const auto mark = "latency" + std::to_string(i) + ".";
      std::this_thread::sleep_for(std::chrono::microseconds(3000 + i * 37));
      guest_sends(marked(mark));
      const auto view = wait_for(*source, mark);
      ASSERT_TRUE(view);
      const auto now = Clock::now().time_since_epoch();
      late.push_back(std::chrono::duration<double, std::milli>(
                         now - std::chrono::nanoseconds(view->timestamp_ns))
                         .count());
    }
    std::sort(late.begin(), late.end());
    std::printf("ring hands a lone packet over after %.2f ms (median), %.2f ms (p99)\n",
                late[late.size() / 2], late[late.size() * 99 / 100]);
    EXPECT_LT(late[late.size() / 2], 20.0); // the budget of the whole response
  });
}

TEST_F(TapTest, WhatFindsNoRoomIsCounted) {
  in_namespace([&] {
    PacketRing small;
    small.block_size = 4096;
    small.block_count = 2;
    const auto source = open_ring(small);
    ASSERT_NE(source, nullptr);
    for (int i = 0; i < 100; ++i) {
      guest_sends(marked(std::string(1000, 'x')));
    }
    std::size_t got = 0;
    for (int i = 0; i < 20; ++i) {
      got += source->next().value_or(std::span<const PacketView>{}).size();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    source->count_lost();
    EXPECT_GT(source->counters().lost_in_kernel, 50U);
    EXPECT_GE(got + source->counters().lost_in_kernel, 100U); // the link may speak for itself, too
  });
}

} // namespace
} // namespace outguard::guest
