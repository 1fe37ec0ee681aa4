#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest/packets/pcap_file_source.h"
#include "guest/packets/pcapng_writer.h"
#include "guest/testing/packet_builder.h"

namespace outguard::guest {
namespace {

PacketView view_of(const Bytes &bytes, std::int64_t time) {
  PacketView packet;
  packet.bytes = bytes;
  packet.original_length = static_cast<std::uint32_t>(bytes.size());
  packet.timestamp_ns = time;
  return packet;
}

/// Our own reader's, which others' files test.
std::vector<Bytes> read_back(std::span<const std::uint8_t> file, std::vector<PacketView> &views) {
  Fd memory(memfd_create("pcapng", MFD_CLOEXEC));
  EXPECT_EQ(write(memory.get(), file.data(), file.size()), static_cast<ssize_t>(file.size()));
  lseek(memory.get(), 0, SEEK_SET);
  PcapFileSource source(std::move(memory));
  std::vector<Bytes> all;
  for (auto batch = source.next(); batch && !batch->empty(); batch = source.next()) {
    for (const auto &packet : *batch) {
      all.emplace_back(packet.bytes.begin(), packet.bytes.end());
      views.push_back(packet);
    }
  }
  EXPECT_FALSE(source.problem());
  return all;
}

TEST(PcapngWriter, WhatIsWrittenIsReadBack) {
  std::vector<std::uint8_t> out(4096);
  PcapngWriter writer(out);
  ASSERT_TRUE(writer.section());
  ASSERT_TRUE(writer.interface("tap0"));
  ASSERT_TRUE(writer.interface(std::string(500, 'x'))); // cut
  const Bytes odd(61, 1);
  const Bytes tagged(60, 2);
  auto first = view_of(odd, 1'700'000'000'123'456'789);
  first.direction = FlowDirection::ToGuest;
  first.original_length = 1500;
  auto second = view_of(tagged, 1'700'000'000'123'456'790);
  second.outer_tag = VlanTag{0x2005, 0x88a8};
  ASSERT_TRUE(writer.packet(0, first));
  ASSERT_TRUE(writer.packet(1, second));
  std::vector<PacketView> views;
  const auto packets = read_back(std::span(out).first(writer.size()), views);
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_EQ(packets[0], odd);
  EXPECT_EQ(views[0].original_length, 1500U);
  EXPECT_EQ(views[0].timestamp_ns, first.timestamp_ns);
  EXPECT_EQ(views[1].timestamp_ns, second.timestamp_ns);
  Bytes with_tag(tagged);
  const Bytes tag{0x88, 0xa8, 0x20, 0x05};
  with_tag.insert(with_tag.begin() + 12, tag.begin(), tag.end());
  EXPECT_EQ(packets[1], with_tag);
  EXPECT_EQ(views[1].original_length, 64U);
}

TEST(PcapngWriter, NothingIsWrittenWhereThereIsNoRoom) {
  const Bytes bytes(100, 3);
  const auto packet = view_of(bytes, 1);
  for (std::size_t room = 0; room < 400; ++room) {
    std::vector<std::uint8_t> out(room + 8, 0xee);
    PcapngWriter writer({out.data(), room});
    if (writer.section() && writer.interface("tap0")) {
      const std::size_t before = writer.size();
      const bool fits = room - before >= PcapngWriter::size_of(packet);
      EXPECT_EQ(writer.packet(0, packet), fits);
      EXPECT_EQ(writer.size(), before + (fits ? PcapngWriter::size_of(packet) : 0));
    }
    EXPECT_LE(writer.size(), room);
    EXPECT_EQ(out[room], 0xee);
  }
}

} // namespace
} // namespace outguard::guest
