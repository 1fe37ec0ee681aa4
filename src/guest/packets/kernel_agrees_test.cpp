// What a Linux kernel makes of overlapping TCP segments and fragments, and what we make of the same
// packets: a TUN device in a network namespace of its own, whose far end is this test. Random, with
// a fixed seed. Needs CAP_SYS_ADMIN, CAP_NET_ADMIN and /dev/net/tun; skips loudly without.
#include <algorithm>
#include <cstring>
#include <random>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/packets/pipeline_test_fixture.h"
#include "guest/testing/wrapping_builder.h"

namespace outguard::guest {
namespace {

constexpr const char *kKernel = "10.77.0.1"; ///< the namespace's address; all of /16 is the test
constexpr std::size_t kLetters = 56;         ///< of the name that senders disagree about

/// Kernels verify what the pipeline does not: RFC 791's sum over the header's ten words.
Bytes with_checksum(Bytes frame) {
  constexpr std::size_t kHeader = 14, kAt = kHeader + 10;
  frame[kAt] = frame[kAt + 1] = 0;
  std::uint32_t sum = 0;
  for (std::size_t at = kHeader; at < kHeader + 20; at += 2) {
    sum += static_cast<std::uint32_t>(frame[at] << 8 | frame[at + 1]);
  }
  sum = ~((sum & 0xffff) + (sum >> 16));
  frame[kAt] = static_cast<std::uint8_t>(sum >> 8);
  frame[kAt + 1] = static_cast<std::uint8_t>(sum);
  return frame;
}

class KernelAgreesTest : public PipelineTest {
protected:
  /// In a thread of its own, whose namespace goes with it.
  template <class Body> void in_namespace(Body body) {
    std::string skipped;
    std::thread([&] {
      if (unshare(CLONE_NEWNET) != 0 || !make_tun()) {
        skipped = std::strerror(errno);
        return;
      }
      body();
    }).join();
    if (!skipped.empty()) {
      GTEST_SKIP() << "no network namespace with a TUN device on this machine: " << skipped;
    }
  }

  bool make_tun() {
    tun_ = Fd(open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
    ifreq request{};
    std::strcpy(request.ifr_name, "ogtun0");
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    const Fd control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto address = [&](const char *text) {
      sockaddr_in in{};
      in.sin_family = AF_INET;
      inet_pton(AF_INET, text, &in.sin_addr);
      std::memcpy(&request.ifr_addr, &in, sizeof in);
      return &request;
    };
    return ioctl(tun_.get(), TUNSETIFF, &request) == 0 &&
           ioctl(control.get(), SIOCSIFADDR, address(kKernel)) == 0 &&
           ioctl(control.get(), SIOCSIFNETMASK, address("255.255.0.0")) == 0 &&
           (request.ifr_flags = IFF_UP, ioctl(control.get(), SIOCSIFFLAGS, &request)) == 0;
  }

  Fd bound(int type, std::uint16_t port) {
    Fd made(socket(AF_INET, type | SOCK_CLOEXEC, 0));
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    EXPECT_EQ(bind(made.get(), reinterpret_cast<sockaddr *>(&in), sizeof in), 0);
    return made;
  }

  /// To the kernel, and through the pipeline.
  void send(const Bytes &frame) {
    constexpr std::size_t kLink = 14;
    const auto size = frame.size() - kLink;
    ASSERT_EQ(write(tun_.get(), frame.data() + kLink, size), static_cast<ssize_t>(size));
    feed(frame);
  }
  void send(const PacketBuilder &packet) { send(packet.build()); }

  /// What the kernel sends back to `port`, if it is a TCP packet with these flags: its sequence.
  std::optional<std::uint32_t> answer(std::uint16_t port, std::uint8_t flags) {
    for (pollfd ready{tun_.get(), POLLIN, 0}; poll(&ready, 1, 2000) > 0;) {
      std::array<std::uint8_t, 2048> packet{};
      const auto length = read(tun_.get(), packet.data(), packet.size());
      if (length >= 40 && packet[9] == IPPROTO_TCP && packet[33] == flags &&
          (packet[22] << 8 | packet[23]) == port) {
        std::uint32_t sequence = 0;
        std::memcpy(&sequence, packet.data() + 24, 4);
        return ntohl(sequence);
      }
    }
    return std::nullopt;
  }
  void drop_answers() {
    std::array<std::uint8_t, 2048> packet{};
    while (read(tun_.get(), packet.data(), packet.size()) > 0) {
    }
  }

  std::size_t below(std::size_t end) {
    return std::uniform_int_distribution<std::size_t>(0, end - 1)(random_);
  }

  /// Our last observable of this kind; a mark where there is none.
  [[nodiscard]] std::string seen(std::string_view kind) const {
    const auto last = std::find_if(sink_.observed.rbegin(), sink_.observed.rend(),
                                   [&](const auto &text) { return text.starts_with(kind); });
    return last == sink_.observed.rend() ? "nothing" : last->substr(kind.size());
  }

  Fd tun_;
  std::mt19937 random_{20'260};
};

TEST_F(KernelAgreesTest, OfOverlappingSegments) {
  in_namespace([&] {
    const Fd listener = bound(SOCK_STREAM, 80);
    ASSERT_EQ(listen(listener.get(), 64), 0);
    const Bytes head = bytes_of("GET / HTTP/1.1\r\nHost: ");
    const Bytes tail = bytes_of(".example\r\n\r\n");
    const std::size_t size = head.size() + kLetters + tail.size();
    std::size_t differed = 0;
    for (std::uint16_t trial = 0; trial < 400 && differed < 3; ++trial) {
      sink_.observed.clear();
      Endpoint here = endpoint("10.77.1.1:1");
      here.port = static_cast<std::uint16_t>(20'000 + trial);
      const Endpoint there = endpoint(std::string(kKernel) + ":80");
      const std::uint32_t first = 1000U * trial;
      send(PacketBuilder(here, there).tcp(tcp_flag::kSyn, first));
      const auto theirs = answer(here.port, tcp_flag::kSyn | tcp_flag::kAck);
      ASSERT_TRUE(theirs);
      send(PacketBuilder(here, there).tcp(tcp_flag::kAck, first + 1, *theirs + 1));
      char letter = 'a';
      std::string story;
      const auto segment = [&](std::size_t from, std::size_t to) {
        Bytes all = head;
        all.resize(head.size() + kLetters, static_cast<std::uint8_t>(letter));
        all.insert(all.end(), tail.begin(), tail.end());
        story +=
            std::string(1, letter++) + "[" + std::to_string(from) + "," + std::to_string(to) + ") ";
        const auto at = [&](std::size_t n) { return all.begin() + static_cast<std::ptrdiff_t>(n); };
        send(PacketBuilder(here, there)
                 .tcp(tcp_flag::kAck, first + 1 + static_cast<std::uint32_t>(from), *theirs + 1)
                 .payload(Bytes(at(from), at(to))));
      };
      const std::size_t count = 2 + below(9);
      const std::size_t beginning = below(count); // when the stream's first bytes come
      for (std::size_t i = 0; i < count; ++i) {
        // None begins where another ends: see docs/comparisons.md for those.
        const std::size_t from = (head.size() + below(kLetters)) | 1;
        const std::size_t to = (from + 1 + below(size - from)) & ~std::size_t{1};
        segment(i == beginning ? 0 : from, std::max(from + 1, to));
      }
      segment(0, size); // whatever is missing
      const Fd accepted(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      std::string delivered(size, '\0');
      const timeval patience{5, 0};
      setsockopt(accepted.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      ASSERT_EQ(recv(accepted.get(), delivered.data(), size, MSG_WAITALL),
                static_cast<ssize_t>(size));
      const auto wanted = delivered.substr(head.size(), kLetters) + ".example";
      EXPECT_EQ(seen("http-host name "), wanted) << story;
      differed += seen("http-host name ") == wanted ? 0U : 1U;
      const linger at_once{1, 0};
      setsockopt(accepted.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      drop_answers();
    }
  });
}

/// Ahead of a request, at the same place: what its receiver throws away, as it answers or not.
TEST_F(KernelAgreesTest, OfSegmentsThatAreNotTaken) {
  in_namespace([&] {
    const Fd listener = bound(SOCK_STREAM, 80);
    ASSERT_EQ(listen(listener.get(), 64), 0);
    const Bytes real = http_request("real.example", "/");
    const Bytes decoy = http_request("decoy.example", "/");
    struct Decoy {
      std::uint8_t flags;
      std::uint32_t ahead; ///< of the stream's next byte
    };
    const Decoy decoys[] = {{tcp_flag::kSyn, 0},
                            {tcp_flag::kSyn, UINT32_MAX}, // its data would be next
                            {tcp_flag::kSyn, 40'000},
                            {tcp_flag::kSyn | tcp_flag::kAck, UINT32_MAX},
                            {0, 0},
                            {tcp_flag::kFin, 0},
                            {tcp_flag::kUrg, 0},
                            {tcp_flag::kRst, 100},
                            {tcp_flag::kRst, static_cast<std::uint32_t>(-20)},
                            {tcp_flag::kRst | tcp_flag::kAck, 100}};
    std::size_t connections = 0;
    Endpoint here = endpoint("10.77.1.1:30000");
    const Endpoint there = endpoint(std::string(kKernel) + ":80");
    for (const Decoy &one : decoys) {
      SCOPED_TRACE("flags " + std::to_string(one.flags) + " ahead " + std::to_string(one.ahead));
      sink_.observed.clear();
      ++here.port;
      const std::uint32_t first = 1000;
      send(PacketBuilder(here, there).tcp(tcp_flag::kSyn, first));
      const auto theirs = answer(here.port, tcp_flag::kSyn | tcp_flag::kAck);
      ASSERT_TRUE(theirs);
      feed(PacketBuilder(there, here)
               .tcp(tcp_flag::kSyn | tcp_flag::kAck, *theirs, first + 1)
               .build());
      send(PacketBuilder(here, there).tcp(tcp_flag::kAck, first + 1, *theirs + 1));
      send(PacketBuilder(here, there)
               .tcp(one.flags, first + 1 + one.ahead, *theirs + 1)
               .payload(decoy));
      send(PacketBuilder(here, there).tcp(tcp_flag::kAck, first + 1, *theirs + 1).payload(real));
      const Fd accepted(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      std::string delivered(real.size(), '\0');
      const timeval patience{5, 0};
      setsockopt(accepted.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      ASSERT_EQ(recv(accepted.get(), delivered.data(), delivered.size(), MSG_WAITALL),
                static_cast<ssize_t>(real.size()));
      EXPECT_EQ(delivered, std::string(real.begin(), real.end()));
      EXPECT_EQ(seen("http-host name "), "real.example");
      EXPECT_EQ(sink_.started.size(), ++connections);
      drop_answers();
    }
  });
}

TEST_F(KernelAgreesTest, OfOverlappingFragments) {
  in_namespace([&] {
    const Fd receiver = bound(SOCK_DGRAM, 53);
    const timeval patience{5, 0};
    setsockopt(receiver.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const Bytes query = dns_query(std::string(kLetters, 'x') + ".example");
    constexpr std::size_t kLettersAt =
        8 + 12 + 1; // behind the headers of UDP and DNS, and a length
    const std::size_t size = 8 + query.size();
    std::size_t differed = 0, whole = 0;
    constexpr std::uint16_t kTrials = 600;
    for (std::uint16_t trial = 0; trial < kTrials && differed < 3; ++trial) {
      sink_.observed.clear();
      const auto from = endpoint("10.77." + std::to_string(2 + trial / 200) + "." +
                                 std::to_string(1 + trial % 200) + ":4000");
      const auto there = endpoint(std::string(kKernel) + ":53");
      char letter = 'a';
      std::string story;
      const auto fragment = [&](std::size_t start, std::size_t end) {
        Bytes frame = PacketBuilder(from, there).udp().payload(query).build();
        const auto udp = frame.end() - static_cast<std::ptrdiff_t>(size);
        std::fill_n(udp + 6, 2, std::uint8_t{0}); // no checksum: no mixture has the right one
        std::fill_n(udp + kLettersAt, kLetters, static_cast<std::uint8_t>(letter));
        story += std::string(1, letter++) + "[" + std::to_string(start) + "," +
                 std::to_string(end) + ") ";
        send(with_checksum(fragment_of(frame, start, end)));
      };
      // A cut into parts of eight bytes and more, in any order, and up to two parts beside them.
      std::vector<std::pair<std::size_t, std::size_t>> parts;
      for (std::size_t start = 0; start < size;) {
        const std::size_t end = std::min(size, start + 8 * (1 + below(4)));
        parts.emplace_back(start, end);
        start = end;
      }
      if (below(4) != 0) {
        std::shuffle(parts.begin(), parts.end(), random_);
      }
      for (std::size_t extra = below(3); extra > 0; --extra) {
        const std::size_t start = 8 * below(size / 8);
        const std::size_t end = std::min(size, start + 8 * (1 + below(5)));
        parts.insert(parts.begin() + static_cast<std::ptrdiff_t>(below(parts.size() + 1)),
                     {start, end});
      }
      for (const auto &[start, end] : parts) {
        fragment(start, end);
      }
      const auto ours = seen("dns-name name ");
      Endpoint last = from;
      last.port = 4001; // comes whole: what came before it is there by then
      send(PacketBuilder(last, there).udp().payload("end"));
      std::string wanted = "nothing";
      for (std::array<char, 512> got{};;) {
        const auto length = recv(receiver.get(), got.data(), got.size(), 0);
        ASSERT_GT(length, 0);
        if (length == 3) {
          break;
        }
        ++whole;
        wanted = std::string(got.data() + kLettersAt - 8, kLetters) + ".example";
      }
      EXPECT_EQ(ours, wanted) << story;
      differed += ours == wanted ? 0U : 1U;
      drop_answers();
    }
    EXPECT_GT(whole, kTrials / 4) << "else nothing was compared";
  });
}

} // namespace
} // namespace outguard::guest
