#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "base/fd.h"
#include "guest/packets/capture_file.h"

namespace outguard::guest {
namespace {

using Bytes = std::vector<std::uint8_t>;

Fd file_of(const Bytes &bytes) {
  Fd file(::memfd_create("capture", MFD_CLOEXEC));
  EXPECT_EQ(::write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

Bytes gzip(const Bytes &bytes) {
  z_stream stream{};
  EXPECT_EQ(::deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  Bytes out(::deflateBound(&stream, bytes.size()) + 64);
  Bytes in = bytes;
  stream.next_in = in.data();
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

struct Read {
  Bytes bytes;
  std::string problem;
  std::uint64_t bytes_read = 0;
};

Read read_all(const Bytes &bytes, std::size_t step = 1000) {
  const Fd fd = file_of(bytes);
  CaptureFile file(fd.get());
  Read read;
  Bytes piece(step);
  for (auto got = file.read(piece); got != 0; got = file.read(piece)) {
    if (got < 0) {
      read.problem = file.problem();
      break;
    }
    read.bytes.insert(read.bytes.end(), piece.begin(), piece.begin() + got);
  }
  read.bytes_read = file.bytes_read();
  return read;
}

Bytes noise(std::size_t size) {
  Bytes bytes(size);
  std::uint32_t state = 7;
  for (auto &byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  bytes[0] = 0xd4;
  return bytes;
}

TEST(CaptureFile, PlainBytesComeAsTheyAre) {
  for (const std::size_t size : {1U, 2U, 5U, 6U, 7U, 300'000U}) {
    const auto bytes = noise(size);
    const auto read = read_all(bytes);
    EXPECT_EQ(read.bytes, bytes) << size;
    EXPECT_EQ(read.bytes_read, size);
  }
  EXPECT_EQ(read_all(noise(50), 1).bytes, noise(50));
  EXPECT_TRUE(read_all({}).bytes.empty());
}

TEST(CaptureFile, GzipIsUnpackedAlsoOfSeveralMembers) {
  const auto bytes = noise(600'000);
  const auto packed = gzip(bytes);
  const auto read = read_all(packed);
  EXPECT_EQ(read.problem, "");
  EXPECT_EQ(read.bytes, bytes);
  EXPECT_EQ(read.bytes_read, packed.size());
  auto two = packed;
  two.insert(two.end(), packed.begin(), packed.end());
  EXPECT_EQ(read_all(two).bytes.size(), 2 * bytes.size());
}

TEST(CaptureFile, DamagedAndForeignPackingIsSaid) {
  const auto packed = gzip(noise(300'000));
  auto cut = packed;
  cut.resize(cut.size() / 2);
  const auto half = read_all(cut);
  EXPECT_EQ(half.problem, "the gzip data ends early");
  EXPECT_GT(half.bytes.size(), 100'000U) << "what came before is given";
  auto bad = packed;
  bad[bad.size() - 6] ^= 1; // its checksum
  EXPECT_EQ(read_all(bad).problem, "the gzip data is damaged");
  auto trailing = packed;
  trailing.insert(trailing.end(), 20, 'x');
  EXPECT_EQ(read_all(trailing).problem, "the gzip data is damaged");
  EXPECT_NE(read_all({0xfd, '7', 'z', 'X', 'Z', 0, 1}).problem.find("unpack it first"),
            std::string::npos);
  EXPECT_NE(read_all({0x28, 0xb5, 0x2f, 0xfd}).problem.find("unpack it first"), std::string::npos);
  EXPECT_EQ(read_all({0x1f, 0x8b}).problem, "the gzip data ends early");
}

} // namespace
} // namespace outguard::guest
