#include <vector>

#include <gtest/gtest.h>

#include "guest/memory/address_space.h"
#include "guest/testing/guest_image_builder.h"

namespace outguard::guest {
namespace {

constexpr std::size_t kPage = 4096;
constexpr GuestVirtual kImage(0xffff'ffff'8100'0000);

class AddressSpaceTest : public testing::TestWithParam<PagingLevels> {
protected:
  GuestImageBuilder guest_{GetParam()};
};

TEST_P(AddressSpaceTest, TranslatesSmallPages) {
  const GuestPhysical frame = guest_.allocate_physical(4096, 4096);
  guest_.map_page(guest_.root(), kImage, frame, PageSize::Small, {false, false});
  const auto found = guest_.space().locate(kImage.plus_wrapping(0x123));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->physical, frame.plus_wrapping(0x123));
  EXPECT_EQ(found->bytes_left, 4096U - 0x123);
  EXPECT_FALSE(found->writable);
  EXPECT_FALSE(found->executable);
}

TEST_P(AddressSpaceTest, TranslatesLargeAndHugePages) {
  const GuestVirtual large(0xffff'8881'0020'0000);
  const GuestVirtual huge(0xffff'8882'0000'0000);
  guest_.map_page(guest_.root(), large, GuestPhysical(0x1234'0000'0000 | 0x60'0000),
                  PageSize::Large);
  guest_.map_page(guest_.root(), huge, GuestPhysical(0x1'4000'0000), PageSize::Huge);
  const AddressSpace space = guest_.space();

  const auto in_large = space.locate(large.plus_wrapping(0x1f'ffff));
  ASSERT_TRUE(in_large);
  EXPECT_EQ(in_large->physical.raw(), 0x1234'0000'0000U + 0x7f'ffff);
  EXPECT_EQ(in_large->bytes_left, 1U);
  EXPECT_TRUE(in_large->writable && in_large->executable);

  for (const std::uint64_t inside : {0x0ULL, 0x1ff'fff8ULL, 0x3fff'f000ULL}) {
    const auto in_huge = space.locate(huge.plus_wrapping(inside));
    ASSERT_TRUE(in_huge);
    EXPECT_EQ(in_huge->physical.raw(), 0x1'4000'0000U + inside);
    EXPECT_EQ(in_huge->bytes_left, 0x4000'0000U - inside);
  }
}

TEST_P(AddressSpaceTest, IgnoresThePatBitOfALargePage) {
  guest_.map_page(guest_.root(), kImage, GuestPhysical(0x60'0000 | 0x1000), PageSize::Large);
  EXPECT_EQ(guest_.space().translate(kImage)->raw(), 0x60'0000U);
}

TEST_P(AddressSpaceTest, SaysUnmappedForAbsentEntriesAtEveryLevel) {
  guest_.map(kImage, 4096);
  guest_.unmap(kImage);
  for (const GuestVirtual address :
       {kImage, kImage.plus_wrapping(4096), kImage.plus_wrapping(2 << 20),
        kImage.minus_wrapping(1ULL << 30), GuestVirtual(0x1000)}) {
    const auto found = guest_.space().translate(address);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, FaultCode::Unmapped);
    EXPECT_EQ(found.error().address, address.raw());
  }
}

TEST_P(AddressSpaceTest, ReadsAcrossPagesThatLieApart) {
  const GuestPhysical first = guest_.allocate_physical(4096, 4096);
  const GuestPhysical gap = guest_.allocate_physical(4096, 4096);
  const GuestPhysical second = guest_.allocate_physical(4096, 4096);
  guest_.map_page(guest_.root(), kImage, first);
  guest_.map_page(guest_.root(), kImage.plus_wrapping(4096), second);
  guest_.memory().put(first.plus_wrapping(4092), std::uint32_t{0x1111'1111});
  guest_.memory().put(gap, std::uint32_t{0x3333'3333});
  guest_.memory().put(second, std::uint32_t{0x2222'2222});
  const auto value = guest_.space().read<std::uint64_t>(kImage.plus_wrapping(4092));
  ASSERT_TRUE(value);
  EXPECT_EQ(value->any_value(), 0x2222'2222'1111'1111U);
}

TEST_P(AddressSpaceTest, ReadsPagesThatLieTogetherAtOnce) {
  const GuestPhysical frames = guest_.allocate_physical(4 * kPage, 4096);
  for (std::uint64_t page = 0; page < 4; ++page) {
    guest_.map_page(guest_.root(), kImage.plus_wrapping(page * 4096),
                    frames.plus_wrapping(page * 4096));
    guest_.memory().put(frames.plus_wrapping(page * 4096), page + 10);
  }
  class CountingReader final : public MemoryReader {
  public:
    explicit CountingReader(MemoryReader &source) : source_(&source) {}
    [[nodiscard]] std::span<const PhysicalRange> ranges() const override { return {}; }
    int bulk_reads = 0;

  private:
    Result<std::size_t> read_some(GuestPhysical address, std::span<std::uint8_t> out) override {
      bulk_reads += out.size() > 8 ? 1 : 0;
      return source_->read(address, out).map([&] { return out.size(); });
    }
    MemoryReader *source_;
  } reader(guest_.memory());
  const AddressSpace space(reader, guest_.root(), GetParam());
  std::vector<std::uint8_t> bytes(4 * kPage - 200);
  ASSERT_TRUE(space.read(kImage.plus_wrapping(100), bytes));
  EXPECT_EQ(reader.bulk_reads, 1);
  EXPECT_EQ(bytes[3 * kPage - 100], 13);
}

TEST_P(AddressSpaceTest, ReadFailsWhenItRunsIntoAHole) {
  guest_.map(kImage, 4096);
  std::vector<std::uint8_t> bytes(16);
  const auto read = guest_.space().read(kImage.plus_wrapping(4090), bytes);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, FaultCode::Unmapped);
}

TEST_P(AddressSpaceTest, ReadDoesNotWrapAroundTheTop) {
  const GuestVirtual top(0xffff'ffff'ffff'f000);
  guest_.map(top, 4096);
  guest_.map(GuestVirtual(0), 4096);
  guest_.unmap(GuestVirtual(0));
  EXPECT_TRUE(guest_.space().read<std::uint64_t>(GuestVirtual(~std::uint64_t{7})));
  EXPECT_FALSE(guest_.space().read<std::uint64_t>(GuestVirtual(~std::uint64_t{3})));
}

TEST_P(AddressSpaceTest, RefusesAReservedLargeBit) {
  guest_.map(kImage, 4096);
  const bool five = GetParam() == PagingLevels::Five;
  const auto top = guest_.root().plus_wrapping((kImage.raw() >> (five ? 48 : 39) & 0x1ff) * 8);
  const auto entry = guest_.memory().read<std::uint64_t>(top)->any_value();
  guest_.memory().put(top, entry | 0x80);
  EXPECT_EQ(guest_.space().translate(kImage).error().code, FaultCode::Malformed);
}

TEST_P(AddressSpaceTest, ATableThatPointsAtItselfEnds) {
  const GuestPhysical root = guest_.new_root();
  for (std::uint64_t entry = 0; entry < 512; ++entry) {
    guest_.memory().put(root.plus_wrapping(entry * 8), root.raw() | 1);
  }
  guest_.memory().clear_calls();
  EXPECT_TRUE(guest_.space_of(root).translate(kImage));
  EXPECT_LE(guest_.memory().calls().size(), 5U);
}

TEST_P(AddressSpaceTest, RemembersUpperLevelsUntilForget) {
  guest_.map(kImage, 2 * kPage);
  AddressSpace space = guest_.space();
  ASSERT_TRUE(space.translate(kImage));
  guest_.memory().clear_calls();
  ASSERT_TRUE(space.translate(kImage.plus_wrapping(4096)));
  EXPECT_EQ(guest_.memory().calls().size(), 1U) << "only the last level is read again";

  guest_.memory().put(guest_.root().plus_wrapping(4088), std::uint64_t{0});
  EXPECT_TRUE(space.translate(kImage));
  space.forget();
  EXPECT_FALSE(space.translate(kImage));
}

TEST_P(AddressSpaceTest, NextMappedSkipsHolesInFewSteps) {
  const GuestVirtual far = kImage.plus_wrapping(0x1234'5000);
  guest_.map(kImage, 4096);
  guest_.map(far, 4096);
  WalkBudget budget(1000, 0);
  const AddressSpace space = guest_.space();
  const GuestVirtual end(0xffff'ffff'c000'0000);
  const auto first = space.next_mapped(GuestVirtual(0xffff'ffff'8000'0000), end, budget);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->start, kImage);
  const auto second = space.next_mapped(kImage.plus_wrapping(4096), end, budget);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->start, far);
  const auto none = space.next_mapped(far.plus_wrapping(4096), far.plus_wrapping(8192), budget);
  EXPECT_EQ(none.error().code, FaultCode::NotFound);
  WalkBudget poor(3, 0);
  EXPECT_EQ(space.next_mapped(kImage.plus_wrapping(4096), end, poor).error().code,
            FaultCode::LimitReached);
}

INSTANTIATE_TEST_SUITE_P(Levels, AddressSpaceTest,
                         testing::Values(PagingLevels::Four, PagingLevels::Five));

TEST(AddressSpaceCanonical, DependsOnTheLevels) {
  GuestImageBuilder four(PagingLevels::Four);
  GuestImageBuilder five(PagingLevels::Five);
  const GuestVirtual only_five(0xff11'0000'0000'1000);
  five.map(only_five, 4096);
  EXPECT_TRUE(five.space().translate(only_five));
  // The same low 48 bits, mapped: only the canonical check keeps the address out.
  four.map(GuestVirtual(0x1000), 4096);
  EXPECT_FALSE(four.space().translate(only_five));
  EXPECT_FALSE(four.space().translate(GuestVirtual(0x0001'0000'0000'1000)));
}

} // namespace
} // namespace outguard::guest
