#include <gtest/gtest.h>

#include "guest/memory/page_store.h"
#include "guest/testing/fake_memory.h"

namespace outguard::guest {
namespace {

constexpr std::uint64_t kPage = FakeMemory::kPageBytes;

struct PageStoreTest : testing::Test {
  /// RAM of which every page begins with its number.
  void fill(std::uint64_t first, std::uint64_t count) {
    for (std::uint64_t page = first; page < first + count; ++page) {
      memory.put(GuestPhysical(page * kPage), page);
    }
  }
  std::uint64_t word(std::uint64_t address) {
    const auto read = store.read<std::uint64_t>(GuestPhysical(address));
    return read ? read->any_value() : ~std::uint64_t{0};
  }
  std::size_t reads() { return memory.calls().size(); }

  FakeMemory memory;
  PageStore store{memory};
};

TEST_F(PageStoreTest, APageIsFetchedOnceAGeneration) {
  fill(1, 1);
  EXPECT_EQ(word(kPage), 1U);
  memory.put(GuestPhysical(kPage), std::uint64_t{7});
  EXPECT_EQ(word(kPage), 1U);
  EXPECT_EQ(word(kPage + 64), 0U);
  EXPECT_EQ(reads(), 1U);
  store.renew();
  EXPECT_EQ(word(kPage), 7U);
  EXPECT_EQ(reads(), 2U);
}

TEST_F(PageStoreTest, ARangeIsRenewedAlone) {
  fill(1, 4);
  for (std::uint64_t page = 1; page <= 4; ++page) {
    EXPECT_EQ(word(page * kPage), page);
    memory.put(GuestPhysical(page * kPage), page + 100);
  }
  store.renew(GuestPhysical(3 * kPage - 1), 2); // of pages 2 and 3
  EXPECT_EQ(word(kPage), 1U);
  EXPECT_EQ(word(2 * kPage), 102U);
  EXPECT_EQ(word(3 * kPage), 103U);
  EXPECT_EQ(word(4 * kPage), 4U);
}

TEST_F(PageStoreTest, NeighboursThatWereOfUseComeInOneRead) {
  fill(32, 8);
  for (std::uint64_t page = 32; page < 40; ++page) {
    EXPECT_EQ(word(page * kPage), page);
  }
  EXPECT_EQ(reads(), 8U);
  store.renew();
  memory.clear_calls();
  for (std::uint64_t page = 32; page < 40; ++page) {
    EXPECT_EQ(word(page * kPage), page);
  }
  ASSERT_EQ(reads(), 8U) << "the fake reads a page at a time";
  EXPECT_EQ(memory.calls().front().length, 8 * kPage);
}

TEST_F(PageStoreTest, NeighboursOfNoUseAreLeftOutInTheEnd) {
  fill(32, 2);
  EXPECT_EQ(word(33 * kPage), 33U);
  EXPECT_EQ(word(32 * kPage), 32U);
  // Only one of the two is wanted from now on; the other goes when its place is needed.
  fill(1024, PageStore::kPages);
  for (int round = 0; round < 2; ++round) {
    store.renew();
    EXPECT_EQ(word(32 * kPage), 32U);
    for (std::uint64_t page = 1024; page < 1024 + PageStore::kPages; ++page) {
      EXPECT_EQ(word(page * kPage), page);
    }
  }
  store.renew();
  memory.clear_calls();
  EXPECT_EQ(word(32 * kPage), 32U);
  EXPECT_EQ(memory.calls().front().length, kPage);
}

TEST_F(PageStoreTest, MorePagesThanItKeepsAreStillRight) {
  fill(16, 3 * PageStore::kPages);
  for (int round = 0; round < 3; ++round) {
    for (std::uint64_t page = 16; page < 16 + 3 * PageStore::kPages; ++page) {
      ASSERT_EQ(word(page * kPage), page);
    }
  }
}

TEST_F(PageStoreTest, ReadsThatCrossPagesAndBulkReads) {
  fill(8, 16);
  std::vector<std::uint8_t> bytes(2 * kPage);
  ASSERT_TRUE(store.read(GuestPhysical(9 * kPage - 8), bytes));
  EXPECT_EQ(bytes[8], 9U);
  EXPECT_EQ(bytes[8 + kPage], 10U);
  bytes.resize(8 * kPage);
  ASSERT_TRUE(store.read(GuestPhysical(12 * kPage), bytes));
  EXPECT_EQ(bytes[7 * kPage], 19U);
}

TEST_F(PageStoreTest, MemoryThatWentAwayIsUnmappedAndItsNeighboursAreNot) {
  fill(32, 4);
  for (std::uint64_t page = 32; page < 36; ++page) {
    EXPECT_EQ(word(page * kPage), page);
  }
  memory.unmap(GuestPhysical(34 * kPage));
  store.renew();
  EXPECT_EQ(word(33 * kPage), 33U);
  const auto gone = store.read<std::uint64_t>(GuestPhysical(34 * kPage));
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, FaultCode::Unmapped);
  EXPECT_EQ(word(35 * kPage), 35U);
}

} // namespace
} // namespace outguard::guest
