// The filter in the kernel, on a pair of local sockets: it needs no privilege and sees a datagram
// as it would see a frame. Frames are built here, byte by byte: their layout is what is tested.
#include <csignal>
#include <vector>

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <sys/socket.h>

#include "facts/packet_ring.h"
#include "hypervisor/opening_filter.h"

namespace outguard::hypervisor {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kAck = 0x10, kEce = 0x40, kCwr = 0x80;
constexpr std::uint8_t kTcp = 6, kUdp = 17, kHopByHop = 0;

Bytes operator+(Bytes left, const Bytes &right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

Bytes ethernet(const Bytes &types) {
  return Bytes(12, 0xee) + types;
}

Bytes ipv4(std::uint8_t protocol, std::uint8_t words = 5, std::uint16_t fragment = 0x4000) {
  Bytes header(std::size_t{4} * words, 0x02); // options that would look like SYN
  header[0] = static_cast<std::uint8_t>(0x40 | words);
  header[6] = static_cast<std::uint8_t>(fragment >> 8);
  header[7] = static_cast<std::uint8_t>(fragment);
  header[9] = protocol;
  return header;
}

Bytes ipv6(std::uint8_t next) {
  Bytes header(40, 0);
  header[0] = 0x60;
  header[6] = next;
  return header;
}

Bytes tcp(std::uint8_t flags) {
  Bytes header(20, 0xff);
  header[13] = flags;
  return header;
}

const Bytes kIpv4{0x08, 0x00}, kIpv6{0x86, 0xdd};
const Bytes kTag{0x81, 0x00, 0x00, 0x07}, kServiceTag{0x88, 0xa8, 0x00, 0x07};

class OpeningFilterTest : public testing::Test {
protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    in_ = Fd(ends[0]);
    out_ = Fd(ends[1]);
    const auto done = pass_openings_only(out_);
    ASSERT_TRUE(done) << done.error().message;
  }

  [[nodiscard]] bool passes(const Bytes &frame) const {
    static_cast<void>(::send(in_.get(), frame.data(), frame.size(), MSG_NOSIGNAL));
    Bytes got(4096);
    return ::recv(out_.get(), got.data(), got.size(), 0) > 0;
  }

  Fd in_, out_;
};

TEST_F(OpeningFilterTest, PassesWhatOpensAConnection) {
  EXPECT_TRUE(passes(ethernet(kIpv4) + ipv4(kTcp) + tcp(kSyn)));
  EXPECT_TRUE(passes(ethernet(kIpv4) + ipv4(kTcp) + tcp(kSyn | kEce | kCwr)));
  EXPECT_TRUE(passes(ethernet(kIpv4) + ipv4(kTcp, 15) + tcp(kSyn)));
  EXPECT_TRUE(passes(ethernet(kIpv4) + ipv4(kTcp, 5, 0x2000) + tcp(kSyn))) << "first fragment";
  EXPECT_TRUE(passes(ethernet(kIpv6) + ipv6(kTcp) + tcp(kSyn)));
  EXPECT_TRUE(passes(ethernet(kTag + kIpv4) + ipv4(kTcp, 6) + tcp(kSyn)));
  EXPECT_TRUE(passes(ethernet(kServiceTag + kIpv6) + ipv6(kTcp) + tcp(kSyn)));
}

TEST_F(OpeningFilterTest, DropsTheRest) {
  for (const int flags : {0, int{kAck}, kSyn | kAck, kFin | kAck, int{kRst}}) {
    const auto segment = tcp(static_cast<std::uint8_t>(flags));
    EXPECT_FALSE(passes(ethernet(kIpv4) + ipv4(kTcp) + segment)) << flags;
    EXPECT_FALSE(passes(ethernet(kIpv4) + ipv4(kTcp, 15) + segment)) << flags;
    EXPECT_FALSE(passes(ethernet(kTag + kIpv4) + ipv4(kTcp) + segment)) << flags;
    EXPECT_FALSE(passes(ethernet(kIpv6) + ipv6(kTcp) + segment)) << flags;
  }
  EXPECT_FALSE(passes(ethernet(kIpv4) + ipv4(kUdp) + tcp(kSyn)));
  EXPECT_FALSE(passes(ethernet(kIpv6) + ipv6(kUdp) + tcp(kSyn)));
  EXPECT_FALSE(passes(ethernet(kIpv6) + ipv6(kHopByHop) + tcp(kSyn)));
  EXPECT_FALSE(passes(ethernet(kIpv4) + ipv4(kTcp, 5, 0x0001) + tcp(kSyn)));
  EXPECT_FALSE(passes(ethernet({0x08, 0x06}) + ipv4(kTcp) + tcp(kSyn)));
  EXPECT_FALSE(passes(ethernet(kServiceTag + kTag + kIpv4) + ipv4(kTcp) + tcp(kSyn)));
}

TEST_F(OpeningFilterTest, DropsWhatIsCutAtAnyByte) {
  for (const auto &frame : {ethernet(kIpv4) + ipv4(kTcp) + tcp(kSyn),
                            ethernet(kTag + kIpv6) + ipv6(kTcp) + tcp(kSyn)}) {
    const std::size_t flags = frame.size() - 20 + 13;
    for (std::size_t size = 1; size <= frame.size(); ++size) {
      const Bytes cut(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_EQ(passes(cut), size > flags) << size;
    }
  }
}

TEST_F(OpeningFilterTest, KeepsTheHeadersOnly) {
  const auto frame = ethernet(kIpv4) + ipv4(kTcp) + tcp(kSyn) + Bytes(1400, 'x');
  ASSERT_EQ(::send(in_.get(), frame.data(), frame.size(), 0), 1454);
  Bytes got(4096);
  EXPECT_EQ(::recv(out_.get(), got.data(), got.size(), 0), kMaxOpeningBytes);
}

TEST_F(OpeningFilterTest, CannotBeTakenOff) {
  const int none = 0;
  EXPECT_NE(::setsockopt(out_.get(), SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof none), 0);
  sock_filter all{BPF_RET | BPF_K, 0, 0, 65535};
  const sock_fprog filter{1, &all};
  EXPECT_NE(::setsockopt(out_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter), 0);
}

} // namespace
} // namespace outguard::hypervisor
