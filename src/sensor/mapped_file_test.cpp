#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "intel/intel_compiler.h"
#include "intel/intel_image.h"
#include "sensor/mapped_file.h"

namespace outguard::sensor {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;

Fd memfd_of(std::span<const std::uint8_t> bytes, int seals = kSeals) {
  Fd file(::memfd_create("mapped_file_test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(::write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  EXPECT_EQ(::fcntl(file.get(), F_ADD_SEALS, seals), 0);
  return file;
}

/// Of this process's resident memory, what is shared memory.
long shared_kb() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "RssShmem:") {
      long kb = 0;
      status >> kb;
      return kb;
    }
  }
  return -1;
}

TEST(MappedFile, WhatCouldChangeOrHoldsNothingIsRefused) {
  const std::vector<std::uint8_t> bytes(100, 7);
  EXPECT_TRUE(MappedFile::open(memfd_of(bytes)));
  EXPECT_FALSE(MappedFile::open(memfd_of(bytes, F_SEAL_SHRINK)));
  EXPECT_FALSE(MappedFile::open(memfd_of(bytes, F_SEAL_WRITE)));
  EXPECT_FALSE(MappedFile::open(memfd_of({})));
}

TEST(MappedFile, AnImageIsVerifiedWithoutRoomForAllOfIt) {
  constexpr int kIndicators = 200'000;
  std::string feed;
  for (int i = 0; i < kIndicators; ++i) {
    feed.append("host").append(std::to_string(i)).append(".bad.com\n");
  }
  intel::IntelCompiler compiler;
  static_cast<void>(compiler.add_feed(
      "feed", {reinterpret_cast<const std::uint8_t *>(feed.data()), feed.size()}));
  const auto compiled = compiler.compile().image;
  const auto all_kb = static_cast<long>(compiled.size() / 1024);
  ASSERT_GT(all_kb, 8 * 1024);

  const auto file = MappedFile::open(memfd_of(compiled)).value();
  const auto image = intel::IntelImage::open(file.bytes()).value();
  const auto before = shared_kb();
  long most = 0;
  std::size_t seen = 0;
  const auto release = [&](std::span<const std::uint8_t> part) {
    seen += part.size();
    most = std::max(most, shared_kb());
    file.release(part);
  };
  EXPECT_TRUE(image.verify(release));
  EXPECT_GT(seen, compiled.size() * 3 / 4);
  EXPECT_LT(most - before, all_kb / 2); // one part at a time, and what is mapped around a fault
  EXPECT_TRUE(std::equal(compiled.begin(), compiled.end(), file.bytes().begin()));
  EXPECT_GE(shared_kb() - before, all_kb * 3 / 4); // read again, it counts again
}

} // namespace
} // namespace outguard::sensor
