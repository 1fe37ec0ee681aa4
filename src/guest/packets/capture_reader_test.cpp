// The file formats, through PcapFileSource as everybody uses them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest/packets/pcap_file_source.h"
#include "guest/testing/message_builder.h"

namespace outguard::guest {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

Fd file_of(const Bytes &bytes) {
  Fd file(memfd_create("capture", MFD_CLOEXEC));
  EXPECT_EQ(write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  lseek(file.get(), 0, SEEK_SET);
  return file;
}

struct Read {
  std::vector<Bytes> packets;
  std::vector<std::int64_t> times;
  std::vector<LinkType> links;
  std::vector<std::uint32_t> originals;
  std::optional<PcapFileSource::Problem> problem;
  SourceCounters counters;
};

Read read_all(Fd file) {
  PcapFileSource source(std::move(file));
  Read all;
  for (;;) {
    const auto batch = source.next();
    if (!batch || batch->empty()) {
      EXPECT_EQ(batch.has_value(), !source.problem());
      break;
    }
    for (const PacketView &view : *batch) {
      all.packets.emplace_back(view.bytes.begin(), view.bytes.end());
      all.times.push_back(view.timestamp_ns);
      all.links.push_back(view.link);
      all.originals.push_back(view.original_length);
    }
  }
  all.problem = source.problem();
  all.counters = source.counters();
  EXPECT_EQ(all.counters.handed_out, all.packets.size());
  return all;
}
Read read_all(const Bytes &bytes) {
  return read_all(file_of(bytes));
}

const std::vector<Bytes> kPackets{Bytes(60, 1), Bytes(61, 2), Bytes(1514, 3)};
constexpr std::int64_t kFirst = 1'700'000'000'000'000'000;

TEST(CaptureFile, BothFormatsOrdersAndResolutions) {
  for (const auto order : {ByteOrder::Little, ByteOrder::Big}) {
    for (const auto resolution : {Resolution::Micro, Resolution::Nano}) {
      const std::int64_t tail = resolution == Resolution::Nano ? 250 : 250'000;
      for (const auto &file : {pcap_file(kPackets, order, resolution, 101),
                               pcapng_file(kPackets, order, resolution, 101)}) {
        const auto all = read_all(file);
        EXPECT_EQ(all.packets, kPackets);
        EXPECT_FALSE(all.problem);
        EXPECT_THAT(all.times, ElementsAre(kFirst + tail, kFirst + 1'000'000'000 + tail,
                                           kFirst + 2'000'000'000 + tail));
        EXPECT_THAT(all.links, testing::Each(LinkType::Raw));
      }
    }
  }
}

TEST(CaptureFile, ManyPacketsThroughAPipe) {
  const std::vector<Bytes> packets(5000, Bytes(900, 7)); // more than the buffer holds
  const auto file = pcap_file(packets);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    for (std::size_t at = 0; at < file.size();) {
      const auto done =
          write(ends[1], file.data() + at, std::min<std::size_t>(file.size() - at, 777));
      if (done < 0) {
        _exit(1);
      }
      at += static_cast<std::size_t>(done);
    }
    _exit(0);
  }
  close(ends[1]);
  EXPECT_THAT(read_all(Fd(ends[0])).packets, SizeIs(5000));
}

TEST(CaptureFile, EveryTruncationKeepsWhatWasWholeAndSaysWhere) {
  for (const auto &file : {pcap_file(kPackets), pcapng_file(kPackets, ByteOrder::Big)}) {
    std::size_t whole = 0;
    for (std::size_t size = 0; size < file.size(); ++size) {
      const auto all =
          read_all(Bytes(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size)));
      ASSERT_GE(all.packets.size(), whole);
      whole = all.packets.size();
      ASSERT_LT(whole, kPackets.size());
      if (all.problem) {
        ASSERT_LE(all.problem->offset, size);
        ASSERT_STRNE(all.problem->reason, "");
        ASSERT_EQ(all.counters.bad_records, all.problem->offset > 0 ? 1U : 0U);
      }
    }
    EXPECT_EQ(whole, kPackets.size() - 1);
  }
}

TEST(CaptureFile, WhatIsNoCaptureIsSaidSo) {
  const auto all = read_all(bytes_of("GIF89a, not a capture at all........"));
  ASSERT_TRUE(all.problem);
  EXPECT_EQ(all.problem->offset, 0U);
  EXPECT_STREQ(all.problem->reason, "neither pcap nor pcapng: unknown magic number");
  EXPECT_EQ(all.counters.bad_records, 0U);
  EXPECT_TRUE(read_all(Bytes{}).problem);
}

TEST(CaptureFile, LengthsThatLie) {
  auto pcap = pcap_file(kPackets);
  pcap[24 + 16 + 60 + 11] = 0x7f; // captured length of the second packet
  const auto damaged = read_all(pcap);
  EXPECT_THAT(damaged.packets, SizeIs(1));
  ASSERT_TRUE(damaged.problem);
  EXPECT_EQ(damaged.problem->offset, 24U + 16 + 60);

  auto block_end = pcapng_file(kPackets);
  block_end[28 + 32 + 92 - 4] ^= 1; // second length of the first packet block
  EXPECT_STREQ(read_all(block_end).problem->reason, "pcapng block whose two lengths differ");

  auto captured = pcapng_file(kPackets);
  captured[28 + 32 + 20] = 0xff; // captured length beyond the block: that packet only
  const auto one_bad = read_all(captured);
  EXPECT_THAT(one_bad.packets, SizeIs(2));
  EXPECT_FALSE(one_bad.problem);
  EXPECT_EQ(one_bad.counters.bad_records, 1U);

  auto no_interface = pcapng_file(kPackets);
  no_interface[28 + 32 + 8] = 9;
  EXPECT_THAT(read_all(no_interface).packets, SizeIs(2));
}

TEST(CaptureFile, KuznetzovsPcapHasEightMoreBytesBeforeEachPacket) {
  Bytes file = pcap_file(kPackets);
  file[0] = 0x34;
  file[1] = 0xcd;
  std::ptrdiff_t at = 24;
  for (const Bytes &packet : kPackets) {
    file.insert(file.begin() + at + 16, 8, std::uint8_t{0xee});
    at += 24 + static_cast<std::ptrdiff_t>(packet.size());
  }
  const auto all = read_all(file);
  EXPECT_EQ(all.packets, kPackets);
  EXPECT_FALSE(all.problem);
}

TEST(CaptureFile, AFractionOfMoreThanASecondIsTheEndOfThatSecond) {
  auto file = pcap_file(kPackets);
  std::fill_n(file.begin() + 24 + 4, 4, std::uint8_t{0xff});
  EXPECT_EQ(read_all(file).times.at(0), kFirst + 999'999'000);
}

TEST(CaptureFile, SeveralSectionsInterfacesAndForeignBlocks) {
  auto file = pcapng_file({Bytes(60, 1)}, ByteOrder::Little, Resolution::Nano, 1);
  const Bytes foreign{0xad, 0x0b, 0, 0, 16, 0, 0, 0, 9, 9, 9, 9, 16, 0, 0, 0};
  file.insert(file.end(), foreign.begin(), foreign.end());
  const Bytes second_interface{1, 0, 0, 0, 20, 0, 0, 0, 101, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0};
  file.insert(file.end(), second_interface.begin(), second_interface.end());
  const Bytes obsolete{2,  0, 0, 0, 36, 0, 0, 0, 1, 0, 0,    0,    0,    0, 0,  0, 64, 66,
                       15, 0, 3, 0, 0,  0, 9, 0, 0, 0, 0x45, 0x46, 0x47, 0, 36, 0, 0,  0};
  file.insert(file.end(), obsolete.begin(), obsolete.end());
  const Bytes simple{3, 0, 0, 0, 20, 0, 0, 0, 2, 0, 0, 0, 0xaa, 0xbb, 0, 0, 20, 0, 0, 0};
  file.insert(file.end(), simple.begin(), simple.end());
  const auto big = pcapng_file({Bytes(60, 2)}, ByteOrder::Big, Resolution::Micro, 276);
  file.insert(file.end(), big.begin(), big.end());
  const auto all = read_all(file);
  EXPECT_FALSE(all.problem) << all.problem->reason << all.problem->offset;
  EXPECT_THAT(all.packets,
              ElementsAre(Bytes(60, 1), Bytes{0x45, 0x46, 0x47}, Bytes{0xaa, 0xbb}, Bytes(60, 2)));
  EXPECT_THAT(all.links, ElementsAre(LinkType::Ethernet, LinkType::Raw, LinkType::Ethernet,
                                     LinkType::LinuxCooked2));
  EXPECT_THAT(all.originals, ElementsAre(60, 9, 2, 60));
  EXPECT_EQ(all.times[1], 1'000'000'000); // microseconds by default
}

TEST(CaptureFile, TimesThatNoClockShowsDoNotOverflow) {
  auto file = pcapng_file({Bytes(60, 1)});
  std::fill_n(file.begin() + 28 + 32 + 12, 8, std::uint8_t{0xff});
  EXPECT_GT(read_all(file).times.at(0), 0);
  file[28 + 20] = 0; // one tick a second
  EXPECT_GT(read_all(file).times.at(0), 0);
  file[28 + 20] = 0xc0; // 2^-64
  EXPECT_TRUE(read_all(file).problem);
}

} // namespace
} // namespace outguard::guest
