// The ring walk on built blocks, and LiveSource on a ring that is a plain file: no privilege
// needed.
#include <algorithm>
#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest/packets/live_source.h"
#include "guest/packets/ring_test_builder.h"

namespace outguard::guest {
namespace {

using testing::SizeIs;

std::vector<PacketView> walk(const Bytes &memory, std::uint32_t *lost = nullptr) {
  RingBlock block(memory);
  std::vector<PacketView> views;
  for (PacketView view; block.next(view);) {
    views.push_back(view);
  }
  if (lost != nullptr) {
    *lost = block.lost();
  }
  return views;
}

TEST(RingBlock, HandsOutEverythingItSays) {
  RingPacket first{.bytes = Bytes(60, 1)};
  RingPacket second{.bytes = Bytes(70, 2)};
  second.original_length = 9000;
  second.status = TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID | TP_STATUS_CSUMNOTREADY;
  second.tag = {0x2005, 0x88a8};
  second.outgoing = true;
  RingPacket third{.bytes = Bytes(3, 3)};
  third.status = TP_STATUS_VLAN_VALID;
  third.tag = {7, 0};
  const auto memory = ring_block({first, second, third}, 4096);
  const auto views = walk(memory);
  ASSERT_THAT(views, SizeIs(3));
  EXPECT_EQ(views[0].bytes.size(), 60U);
  EXPECT_EQ(views[0].original_length, 60U);
  EXPECT_EQ(views[0].direction, FlowDirection::ToRemote);
  EXPECT_FALSE(views[0].outer_tag);
  EXPECT_TRUE(views[0].checksums_filled);
  EXPECT_EQ(views[0].timestamp_ns, 1'700'000'000'000'000'123);
  EXPECT_EQ(views[1].bytes[0], 2);
  EXPECT_EQ(views[1].original_length, 9000U);
  EXPECT_EQ(views[1].direction, FlowDirection::ToGuest);
  EXPECT_EQ(views[1].outer_tag->control, 0x2005);
  EXPECT_EQ(views[1].outer_tag->protocol, 0x88a8);
  EXPECT_FALSE(views[1].checksums_filled);
  EXPECT_EQ(views[2].outer_tag->protocol, 0x8100);
}

TEST(RingBlock, NoNumberLeadsOutOfTheBlock) {
  const std::vector<RingPacket> packets(5, RingPacket{.bytes = Bytes(100, 1)});
  const auto good = ring_block(packets, 4096);
  const std::size_t third = ring_packet_offset(good, 2);
  const auto falsified = [&](std::size_t at, std::uint32_t value) {
    auto memory = good;
    std::memcpy(memory.data() + at, &value, sizeof value);
    std::uint32_t lost = 0;
    const auto views = walk(memory, &lost);
    for (const auto &view : views) {
      EXPECT_LE(view.bytes.data() + view.bytes.size(), memory.data() + memory.size());
    }
    EXPECT_EQ(views.size() + lost, 5U);
    return lost;
  };
  EXPECT_EQ(falsified(third + offsetof(tpacket3_hdr, tp_snaplen), 5000), 3U);
  EXPECT_EQ(falsified(third + offsetof(tpacket3_hdr, tp_snaplen), 0xffffffff), 3U);
  EXPECT_EQ(falsified(third + offsetof(tpacket3_hdr, tp_mac), 0xffff), 3U);
  EXPECT_EQ(falsified(third + offsetof(tpacket3_hdr, tp_mac), 0), 3U);
  EXPECT_EQ(falsified(third + offsetof(tpacket3_hdr, tp_next_offset), 0), 2U);
  EXPECT_EQ(falsified(third + offsetof(tpacket3_hdr, tp_next_offset), 0xfffffff0), 2U);
  EXPECT_EQ(falsified(offsetof(tpacket_block_desc, hdr.bh1.offset_to_first_pkt), 0xffffffff), 5U);
}

TEST(RingBlock, PacketsThatCannotBeThereAreLost) {
  auto memory = ring_block({RingPacket{.bytes = Bytes(100, 1)}}, 4096);
  const std::uint32_t many = 0xffffffff;
  std::memcpy(memory.data() + offsetof(tpacket_block_desc, hdr.bh1.num_pkts), &many, sizeof many);
  std::uint32_t lost = 0;
  EXPECT_THAT(walk(memory, &lost), SizeIs(1));
  EXPECT_EQ(lost, many - 1);
}

class LiveSourceTest : public testing::Test {
protected:
  static constexpr std::uint32_t kBlock = 65536;

  LiveSourceTest() { ring_.block_count = 3; }
  void SetUp() override {
    ring_.block_size = kBlock;
    file_ = memfd_create("ring", MFD_CLOEXEC);
    ASSERT_EQ(ftruncate(file_, static_cast<off_t>(ring_.bytes())), 0);
    auto opened = LiveSource::open(Fd(dup(file_)), ring_);
    ASSERT_TRUE(opened);
    source_ = std::move(*opened);
  }
  void TearDown() override { close(file_); }

  void kernel_writes(std::uint32_t block, const std::vector<RingPacket> &packets) {
    const auto memory = ring_block(packets, kBlock);
    ASSERT_EQ(pwrite(file_, memory.data(), memory.size(), off_t{block} * kBlock), kBlock);
  }
  [[nodiscard]] bool kernel_owns(std::uint32_t block) const {
    std::uint32_t status = 0;
    const auto at = off_t{block} * kBlock + off_t{offsetof(tpacket_block_desc, hdr)};
    EXPECT_EQ(pread(file_, &status, sizeof status, at), 4);
    return status == TP_STATUS_KERNEL;
  }
  std::size_t next() {
    const auto batch = source_->next();
    EXPECT_TRUE(batch);
    return batch ? batch->size() : 0;
  }

  PacketRing ring_;
  int file_ = -1;
  std::unique_ptr<LiveSource> source_;
};

TEST_F(LiveSourceTest, GoesRoundAndGivesBlocksBack) {
  EXPECT_EQ(next(), 0U);
  for (std::uint32_t round = 0; round < 7; ++round) {
    const std::uint32_t block = round % 3;
    kernel_writes(block, std::vector(round + 1, RingPacket{.bytes = Bytes(60, 1)}));
    EXPECT_EQ(next(), round + 1);
    EXPECT_FALSE(kernel_owns(block)); // the views are still good
    EXPECT_EQ(next(), 0U);
    EXPECT_TRUE(kernel_owns(block));
  }
  EXPECT_EQ(source_->counters().handed_out, 28U);
}

TEST_F(LiveSourceTest, LargeBlockComesInBatches) {
  kernel_writes(0, std::vector(PacketSource::kBatch + 6, RingPacket{.bytes = Bytes(1, 1)}));
  kernel_writes(1, {RingPacket{.bytes = Bytes(1, 1)}});
  EXPECT_EQ(next(), PacketSource::kBatch);
  EXPECT_EQ(next(), 6U);
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(next(), 0U);
}

TEST_F(LiveSourceTest, EmptyAndDamagedBlocksDoNotStopIt) {
  kernel_writes(0, {});
  RingPacket damaged{.bytes = Bytes(60, 1)};
  damaged.captured = kBlock;
  kernel_writes(1, {RingPacket{.bytes = Bytes(60, 1)}, damaged, damaged});
  kernel_writes(2, {RingPacket{.bytes = Bytes(60, 1)}});
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(next(), 0U);
  EXPECT_EQ(source_->counters().bad_records, 2U);
}

/// Three blocks, and room for some copies of sparse ones.
class KeptPacketsTest : public LiveSourceTest {
protected:
  KeptPacketsTest() { ring_.kept_bytes = 1024; }
  /// The kernel fills the next block, numbers that, and closes it. Packets are told apart by
  /// length.
  void kernel_fills(std::size_t length, std::size_t count = 1) {
    const std::uint32_t block = static_cast<std::uint32_t>(filled_ % ring_.block_count);
    kernel_writes(block, std::vector(count, RingPacket{.bytes = Bytes(length, 7)}));
    number(block, ++filled_);
  }
  void number(std::uint32_t block, std::uint64_t sequence) const {
    const auto at = off_t{block} * kBlock + off_t{offsetof(tpacket_block_desc, hdr.bh1.seq_num)};
    ASSERT_EQ(pwrite(file_, &sequence, sizeof sequence, at), 8);
  }
  void pass(std::size_t length, std::size_t count = 1) {
    const auto block = static_cast<std::uint32_t>(filled_ % ring_.block_count);
    kernel_fills(length, count);
    EXPECT_EQ(next(), count);
    EXPECT_EQ(next(), 0U);
    EXPECT_TRUE(kernel_owns(block)); // or poll() would always say that there is something
  }
  [[nodiscard]] std::vector<std::size_t> kept() const {
    std::vector<std::size_t> lengths;
    for (const auto &bytes : source_->kept().blocks) {
      RingBlock block(bytes);
      for (PacketView packet; block.next(packet);) {
        lengths.push_back(packet.bytes.size());
      }
    }
    return lengths;
  }
  std::uint64_t filled_ = 0;
};

TEST_F(KeptPacketsTest, OfSparseBlocksAsManyCopiesAsHaveRoom) {
  EXPECT_TRUE(kept().empty());
  for (std::size_t i = 0; i < 12; ++i) {
    pass(100 + i); // some 48 + 82 + 105 bytes each
  }
  EXPECT_EQ(kept(), (std::vector<std::size_t>{108, 109, 110, 111}));
  EXPECT_EQ(source_->kept().passed_over, 0U);
  EXPECT_EQ(source_->counters().handed_out, 12U);
}

TEST_F(KeptPacketsTest, FullBlocksStayUntilTheirTurnComes) {
  pass(1000, 20); // more than a quarter of a block
  pass(101);
  pass(1100, 20);
  auto seen = kept();
  EXPECT_EQ(seen.size(), 41U);
  EXPECT_EQ(source_->kept().passed_over, 0U); // nothing since the oldest is lost
  number(0, 99);                              // the kernel begins with it anew
  seen = kept();
  EXPECT_EQ(std::ranges::count(seen, 1000), 0);
  EXPECT_EQ(std::ranges::count(seen, 1100), 20);
  EXPECT_EQ(source_->kept().passed_over, 0U); // what is gone is older than the oldest
  number(2, 100);
  EXPECT_EQ(kept(), (std::vector<std::size_t>{101}));
  EXPECT_EQ(source_->kept().passed_over, 20U);
}

TEST_F(KeptPacketsTest, WhatIsNotHandedOutYetIsNotAmongThemButTheRestOfABlock) {
  kernel_fills(9, PacketSource::kBatch + 3);
  EXPECT_TRUE(kept().empty());
  EXPECT_EQ(next(), PacketSource::kBatch);
  EXPECT_EQ(kept().size(), PacketSource::kBatch + 3);
}

TEST(LiveSource, ImpossibleRingsAreRefused) {
  const auto refused = [](std::uint32_t size, std::uint32_t count) {
    PacketRing ring;
    ring.block_size = size;
    ring.block_count = count;
    const auto opened = LiveSource::open(Fd(), ring);
    return opened ? FaultCode::NotFound : opened.error().code;
  };
  EXPECT_EQ(refused(0, 1), FaultCode::Malformed);
  EXPECT_EQ(refused(4097, 1), FaultCode::Malformed);
  EXPECT_EQ(refused(4096, 0), FaultCode::Malformed);
  EXPECT_EQ(refused(1U << 31, 1U << 31), FaultCode::Malformed);
  EXPECT_EQ(refused(4096, 4), FaultCode::SourceGone); // no descriptor
}

} // namespace
} // namespace outguard::guest
