// The source on a pair of local sockets, which hands over datagrams as the packet socket does
// frames.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "guest/packets/decode.h"
#include "guest/packets/opening_source.h"
#include "guest/testing/packet_builder.h"

namespace outguard::guest {
namespace {

class OpeningSourceTest : public testing::Test {
protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    kernel_ = Fd(ends[0]);
    source_ = std::make_unique<OpeningSource>(Fd(ends[1]));
  }
  [[nodiscard]] bool arrives(const Bytes &frame) const {
    return ::send(kernel_.get(), frame.data(), frame.size(), MSG_NOSIGNAL) >= 0;
  }
  std::span<const PacketView> next() {
    const auto batch = source_->next();
    EXPECT_TRUE(batch);
    return batch.value_or(std::span<const PacketView>{});
  }

  Fd kernel_;
  std::unique_ptr<OpeningSource> source_;
};

Bytes opening(std::uint32_t sequence, std::size_t data = 0) {
  PacketBuilder packet(endpoint("10.0.0.1:40000"), endpoint("192.0.2.7:443"));
  return packet.tcp(tcp_flag::kSyn, sequence).payload(Bytes(data, 'x')).build();
}

TEST_F(OpeningSourceTest, HandsOutWhatTheDecoderTakes) {
  EXPECT_TRUE(next().empty());
  for (const std::size_t data : {0U, 1400U}) { // with data (RFC 7413) it is cut
    ASSERT_TRUE(arrives(opening(77, data)));
    const auto before = wall_now().time_since_epoch().count();
    const auto batch = next();
    ASSERT_EQ(batch.size(), 1U);
    EXPECT_GE(batch[0].timestamp_ns, before);
    DecodedPacket packet;
    ASSERT_FALSE(decode(batch[0], packet)) << data;
    EXPECT_EQ(packet.source, endpoint("10.0.0.1:40000"));
    EXPECT_EQ(packet.destination, endpoint("192.0.2.7:443"));
    EXPECT_EQ(packet.sequence, 77U);
    EXPECT_EQ(packet.direction, FlowDirection::ToRemote);
  }
  EXPECT_TRUE(next().empty());
  EXPECT_EQ(source_->counters().handed_out, 2U);
}

TEST_F(OpeningSourceTest, EachFrameOfABatchIsItsOwn) {
  std::uint32_t sent = 0;
  while (sent < 100 && arrives(opening(sent))) {
    ++sent;
  }
  ASSERT_GE(sent, 2U); // net.unix.max_dgram_qlen
  std::uint32_t got = 0;
  for (auto batch = next(); !batch.empty(); batch = next()) {
    EXPECT_LE(batch.size(), PacketSource::kBatch);
    for (const auto &view : batch) {
      DecodedPacket packet;
      ASSERT_FALSE(decode(view, packet));
      EXPECT_EQ(packet.sequence, got++);
    }
  }
  EXPECT_EQ(got, sent);
}

TEST_F(OpeningSourceTest, AnEmptyFrameIsNoEnd) {
  ASSERT_TRUE(arrives({}));
  ASSERT_TRUE(arrives(opening(1)));
  EXPECT_EQ(next().size(), 2U);
}

} // namespace
} // namespace outguard::guest
