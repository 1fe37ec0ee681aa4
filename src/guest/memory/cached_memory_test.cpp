#include <gtest/gtest.h>

#include "guest/memory/cached_memory.h"
#include "guest/testing/fake_memory.h"

namespace outguard::guest {
namespace {

constexpr std::size_t kPage = 4096;

class CachedMemoryTest : public testing::Test {
protected:
  CachedMemoryTest() {
    source_.map(GuestPhysical(0), 64 * kPage);
    for (std::uint64_t page = 0; page < 64; ++page) {
      source_.put(GuestPhysical(page * kPage + 8), page + 1);
    }
  }
  [[nodiscard]] std::uint64_t value_of(MemoryReader &memory, std::uint64_t page) {
    return memory.read<std::uint64_t>(GuestPhysical(page * kPage + 8))->any_value();
  }

  FakeMemory source_;
};

TEST_F(CachedMemoryTest, ReadsAPageOnceUntilForget) {
  CachedMemory cached(source_);
  EXPECT_EQ(value_of(cached, 3), 4U);
  source_.put(GuestPhysical(3 * kPage + 8), std::uint64_t{99});
  EXPECT_EQ(value_of(cached, 3), 4U);
  EXPECT_EQ(source_.calls().size(), 1U);
  cached.forget();
  EXPECT_EQ(value_of(cached, 3), 99U);
  EXPECT_EQ(source_.calls().size(), 2U);
}

TEST_F(CachedMemoryTest, CrossesPages) {
  CachedMemory cached(source_);
  std::vector<std::uint8_t> bytes(4096);
  ASSERT_TRUE(cached.read(GuestPhysical(4096 + 100), bytes));
  EXPECT_EQ(bytes[4096 + 8 - 100], 3);
  EXPECT_EQ(source_.calls().size(), 2U);
}

TEST_F(CachedMemoryTest, StaysRightWhenItIsTooSmall) {
  CachedMemory cached(source_, 4);
  for (int round = 0; round < 3; ++round) {
    for (std::uint64_t page = 0; page < 64; ++page) {
      EXPECT_EQ(value_of(cached, page), page + 1);
    }
  }
}

TEST_F(CachedMemoryTest, DoesNotRememberBulkReadsOrFailures) {
  CachedMemory cached(source_);
  std::vector<std::uint8_t> bulk(8 * kPage);
  ASSERT_TRUE(cached.read(GuestPhysical(0), bulk));
  source_.clear_calls();
  EXPECT_EQ(value_of(cached, 0), 1U);
  EXPECT_EQ(source_.calls().size(), 1U);

  EXPECT_EQ(cached.read<std::uint8_t>(GuestPhysical(64 * kPage)).error().code, FaultCode::Unmapped);
  source_.map(GuestPhysical(64 * kPage), 4096);
  EXPECT_TRUE(cached.read<std::uint8_t>(GuestPhysical(64 * kPage)));
}

TEST_F(CachedMemoryTest, AFailedFillLeavesNoOldPageBehind) {
  CachedMemory cached(source_, 4);
  for (std::uint64_t page = 0; page < 4; ++page) {
    ASSERT_EQ(value_of(cached, page), page + 1);
  }
  source_.limit_reads_to(kPage / 2);
  source_.fail_after(1); // half a page is there when the read fails, in the place of another
  EXPECT_FALSE(cached.read<std::uint8_t>(GuestPhysical(9 * kPage)));
  source_.fail_after(100);
  for (std::uint64_t page = 0; page < 4; ++page) {
    EXPECT_EQ(value_of(cached, page), page + 1);
  }
}

TEST_F(CachedMemoryTest, ReadsTheRestOfAPageWhoseBeginningIsGone) {
  class HalfPage final : public MemoryReader {
  public:
    [[nodiscard]] std::span<const PhysicalRange> ranges() const override { return {}; }

  private:
    Result<std::size_t> read_some(GuestPhysical address, std::span<std::uint8_t> out) override {
      if (address.raw() < 2048) {
        return fault(FaultCode::Unmapped, address.raw());
      }
      std::fill(out.begin(), out.end(), std::uint8_t{7});
      return out.size();
    }
  } half;
  CachedMemory cached(half);
  EXPECT_EQ(cached.read<std::uint8_t>(GuestPhysical(3000))->any_value(), 7);
  EXPECT_FALSE(cached.read<std::uint8_t>(GuestPhysical(100)));
}

} // namespace
} // namespace outguard::guest
