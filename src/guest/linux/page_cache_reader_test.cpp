#include <numeric>

#include <gtest/gtest.h>

#include "guest/linux/file_hasher.h"
#include "guest/linux/page_cache_reader.h"
#include "guest/testing/page_cache_image.h"

namespace outguard::guest {
namespace {

struct PageCacheTest : testing::Test {
  PageCacheTest()
      : layout(PageCacheLayout::bind(image.types(), image.symbols()).value()), pages(layout) {}

  KernelReader reader() { return {space, {100'000, 64U << 20}}; }
  CachedFile file() {
    auto once = reader();
    return pages.file_of(image.mapping(), once).value();
  }
  FileHash hash(std::uint64_t most = 1U << 30) {
    FileHasher hasher(pages, file(), most);
    auto each = reader();
    int steps = 0;
    while (hasher.step(each)) {
      EXPECT_LT(++steps, 100);
    }
    return hasher.result();
  }
  void expect_whole() {
    const auto seen = hash();
    EXPECT_EQ(seen.status, FileHash::Status::Complete);
    EXPECT_EQ(seen.resident_bytes, image.bytes().size());
    EXPECT_EQ(seen.sha256, digest_of(image.bytes()));
  }
  void expect_partial(std::uint64_t missing_pages) {
    const auto seen = hash();
    EXPECT_EQ(seen.status, FileHash::Status::Partial);
    EXPECT_EQ(seen.file_bytes, image.bytes().size());
    EXPECT_EQ(seen.resident_bytes, image.bytes().size() - missing_pages * 4096);
  }
  static std::array<std::uint8_t, 32> digest_of(const std::vector<std::uint8_t> &bytes) {
    FileDigests digests;
    digests.add(bytes);
    return digests.finish().value().sha256;
  }

  PageCacheImage image;
  AddressSpace space = image.builder().space();
  PageCacheLayout layout;
  PageCacheReader pages;
};

TEST_F(PageCacheTest, KnowsTheStandardsExamples) {
  const std::string abc = "abc"; // FIPS 180-4, RFC 1321
  FileDigests digests;
  for (const char &letter : abc) {
    digests.add({reinterpret_cast<const std::uint8_t *>(&letter), 1});
  }
  const auto known = digests.finish().value();
  EXPECT_EQ(known.sha256[0], 0xba);
  EXPECT_EQ(known.sha256[1], 0x78);
  EXPECT_EQ(known.sha256[31], 0xad);
  ASSERT_TRUE(known.sha1 && known.md5);
  EXPECT_EQ((*known.sha1)[0], 0xa9);
  EXPECT_EQ((*known.sha1)[19], 0x9d);
  EXPECT_EQ((*known.md5)[0], 0x90);
  EXPECT_EQ((*known.md5)[15], 0x72);
}

TEST_F(PageCacheTest, OnePageHangsFromTheHeadItself) {
  image.make_file(1000);
  image.store_pages(1, 0);
  expect_whole();
}

TEST_F(PageCacheTest, OneLevel) {
  image.make_file(std::size_t{40} * 4096 + 17);
  image.store_pages(41, 1);
  expect_whole();
}

TEST_F(PageCacheTest, SeveralLevelsAndSlices) {
  image.make_file(std::size_t{5000} * 4096 + 4095);
  image.store_pages(5001, 3);
  expect_whole();
}

TEST_F(PageCacheTest, ScatteredFrames) {
  image.make_file(std::size_t{100} * 4096);
  image.scatter();
  image.store_pages(100, 2);
  expect_whole();
}

TEST_F(PageCacheTest, AnEmptyFileHasTheHashOfNothing) {
  image.make_file(0);
  expect_whole();
}

TEST_F(PageCacheTest, AFolioStandsInEverySlot) { // as 5.10 stores huge pages
  image.make_file(std::size_t{64} * 4096);
  image.store_folio_everywhere(0, 64);
  expect_whole();
}

TEST_F(PageCacheTest, AFolioWithSiblings) {
  image.make_file(std::size_t{16} * 4096);
  image.store_folio_with_siblings(0, 8);
  image.store_folio_with_siblings(8, 8);
  expect_whole();
}

TEST_F(PageCacheTest, AFolioOfAWholeNode) {
  image.make_file(std::size_t{128} * 4096);
  image.store_folio_above(0, 64);
  image.store_folio_above(64, 64);
  expect_whole();
}

TEST_F(PageCacheTest, TailsThatBelongToAnotherFolioAreNotTaken) {
  image.make_file(std::size_t{16} * 4096);
  image.store_folio_with_siblings(0, 8);
  image.store_folio_with_siblings(8, 8);
  image.set_page(11, "compound_head", image.page_of(0).raw() | 1);
  expect_partial(1);
}

TEST_F(PageCacheTest, TailsOfWhichNothingSaysWhoseTheyAreAreNotTaken) {
  image.make_file(std::size_t{8} * 4096);
  image.store_folio_with_siblings(0, 8);
  image.types().remove_member("page", "compound_head");
  const auto blind = PageCacheLayout::bind(image.types(), image.symbols()).value();
  const PageCacheReader reads(blind);
  FileHasher hasher(reads, file(), 1U << 20);
  auto each = reader();
  while (hasher.step(each)) {
  }
  EXPECT_EQ(hasher.result().status, FileHash::Status::Partial);
}

TEST_F(PageCacheTest, HugePagesAreNotRead) {
  image.make_file(std::size_t{8} * 4096);
  image.store_pages(8, 1);
  image.set_magic(0x958458f6);
  auto once = reader();
  EXPECT_EQ(pages.file_of(image.mapping(), once).error().code, FaultCode::Malformed);
}

TEST_F(PageCacheTest, AFileBehindAnOverlayHasItsSizeAndTimes) {
  image.make_file(1000);
  const CachedFile layer = file();
  CachedFile front = layer;
  front.magic = 0x794c7630; // overlayfs
  EXPECT_TRUE(layer.can_stand_behind(front));
  EXPECT_FALSE(front.can_stand_behind(front));
  front.changed_nanoseconds += 1; // of the same size, and another
  EXPECT_FALSE(layer.can_stand_behind(front));
}

TEST_F(PageCacheTest, EvictedAndSwappedPagesMakeItPartial) {
  image.make_file(std::size_t{10} * 4096);
  image.store_pages(10, 1);
  image.set_entry(3, 0);           // evicted
  image.set_entry(4, 0x12345 | 1); // swapped, or a shadow
  expect_partial(2);
}

TEST_F(PageCacheTest, ACopyHasTheBytesAndNamesWhatIsMissing) {
  image.make_file(std::size_t{10} * 4096 - 1000);
  image.store_pages(10, 1);
  for (const std::uint64_t index : {3U, 4U, 9U}) {
    image.set_entry(index, 0);
  }
  std::vector<std::uint8_t> copy(std::size_t{12} * 4096, 0xee);
  FileHasher hasher(pages, file(), copy.size(), copy);
  auto each = reader();
  while (hasher.step(each)) {
  }
  EXPECT_EQ(hasher.result().status, FileHash::Status::Partial);
  EXPECT_EQ(hasher.missing(), (std::vector<MissingRange>{{12288, 8192}, {36864, 3096}}));
  auto wanted = image.bytes();
  std::fill_n(wanted.begin() + 12288, 8192, std::uint8_t{0});
  std::fill(wanted.begin() + 36864, wanted.end(), std::uint8_t{0});
  EXPECT_TRUE(std::equal(wanted.begin(), wanted.end(), copy.begin()));
  EXPECT_EQ(copy[wanted.size()], 0xee); // nothing beyond the file's end
  FileHasher large(pages, file(), 4096, std::span(copy).first(4096));
  EXPECT_FALSE(large.step(each));
  EXPECT_EQ(large.result().status, FileHash::Status::TooLarge);
}

TEST_F(PageCacheTest, OfATmpfsAHoleIsZerosAndASwappedPageIsMissing) {
  image.make_file(std::size_t{10} * 4096);
  image.set_magic(0x01021994);
  image.store_pages(10, 1);
  image.set_entry(3, 0);
  auto bytes = image.bytes();
  std::fill_n(bytes.begin() + 12288, 4096, std::uint8_t{0});
  EXPECT_EQ(hash().sha256, digest_of(bytes));
  image.set_entry(4, 0x12345 | 1);
  expect_partial(1);
}

TEST_F(PageCacheTest, AnotherFilesPageIsNotTaken) {
  image.make_file(std::size_t{10} * 4096);
  image.store_pages(10, 1);
  image.set_page(5, "mapping", 0xffff'8880'0000'1000);
  expect_partial(1);
}

TEST_F(PageCacheTest, APageOfAnotherIndexIsNotTaken) {
  image.make_file(std::size_t{10} * 4096);
  image.store_pages(10, 1);
  image.set_page(5, "index", 6);
  expect_partial(1);
}

TEST_F(PageCacheTest, APageBeingReadFromDiskIsNotTaken) {
  image.make_file(std::size_t{10} * 4096);
  image.store_pages(10, 1);
  image.set_page(0, "flags", 0);
  expect_partial(1);
}

TEST_F(PageCacheTest, AFrameOutsideRamIsMissing) {
  image.make_file(std::size_t{3} * 4096);
  image.store_pages(3, 1);
  image.set_entry(1, 0xffff'ffff'ffff'f000); // no struct page there
  expect_partial(1);
}

TEST_F(PageCacheTest, NodesThatLieAreNotFollowed) {
  image.make_file(std::size_t{200} * 4096);
  image.store_pages(200, 2);
  const auto spoil = [&](std::string_view member, std::uint64_t value) {
    const auto before = image.set_node(1, member, value);
    const auto seen = hash();
    EXPECT_EQ(seen.status, FileHash::Status::Partial) << member;
    image.set_node(1, member, before);
  };
  spoil("shift", 6); // as wide as its parent: a cycle's first step
  spoil("shift", 60);
  spoil("shift", 5);
  spoil("offset", 9);
  spoil("parent", 0xffff'8880'0000'1000);
  spoil("array", 0);
  expect_whole();
  image.set_entry(2, image.node(0).raw() | 2); // a leaf that leads back to the top
  EXPECT_EQ(hash().status, FileHash::Status::Partial);
}

TEST_F(PageCacheTest, SiblingsThatLeadForwardOrToSiblingsAreNotFollowed) {
  image.make_file(std::size_t{10} * 4096);
  image.store_pages(10, 1);
  image.set_entry(3, 3U << 2 | 2); // itself
  EXPECT_EQ(hash().status, FileHash::Status::Partial);
  image.set_entry(3, 256U << 2 | 2); // "retry"
  EXPECT_EQ(hash().status, FileHash::Status::Partial);
}

TEST_F(PageCacheTest, AFileThatIsWrittenWhileItIsReadIsReadAgain) {
  image.make_file(std::size_t{300} * 4096);
  image.store_pages(300, 2);
  FileHasher hasher(pages, file(), 1U << 30);
  auto each = reader();
  EXPECT_TRUE(hasher.step(each));
  image.touch();
  while (hasher.step(each)) {
  }
  EXPECT_EQ(hasher.result().status, FileHash::Status::Complete);
  EXPECT_EQ(hasher.result().sha256, digest_of(image.bytes()));
}

TEST_F(PageCacheTest, AFileThatIsWrittenAllTheTimeHasNoHash) {
  image.make_file(std::size_t{300} * 4096);
  image.store_pages(300, 2);
  FileHasher hasher(pages, file(), 1U << 30);
  auto each = reader();
  while (hasher.step(each)) {
    image.touch();
  }
  EXPECT_EQ(hasher.result().status, FileHash::Status::Changed);
}

TEST_F(PageCacheTest, AWriteThatLastsFromBeforeToAfterLeavesNoHash) { // one time for all its bytes
  image.make_file(std::size_t{300} * 4096);
  image.store_pages(300, 2);
  image.set_lock(1);
  EXPECT_EQ(hash().status, FileHash::Status::Changed);
  image.set_lock(3U << 8 | 2); // three readers, and somebody waits
  expect_whole();
}

TEST_F(PageCacheTest, AWriteThatEndsMeanwhileIsReadAgain) {
  image.make_file(std::size_t{300} * 4096);
  image.store_pages(300, 2);
  image.set_lock(1);
  FileHasher hasher(pages, file(), 1U << 30);
  auto each = reader();
  EXPECT_TRUE(hasher.step(each));
  image.set_lock(0);
  int steps = 1;
  while (hasher.step(each)) {
    ++steps;
  }
  EXPECT_EQ(steps, 5) << "two slices and the look at the end, twice";
  EXPECT_EQ(hasher.result().status, FileHash::Status::Complete);
  EXPECT_EQ(hasher.result().sha256, digest_of(image.bytes()));
}

TEST_F(PageCacheTest, AWriteThatBeganMeanwhileInTheSameTickLeavesNoHash) {
  image.make_file(std::size_t{300} * 4096);
  image.store_pages(300, 2);
  FileHasher hasher(pages, file(), 1U << 30);
  auto each = reader();
  EXPECT_TRUE(hasher.step(each));
  image.set_lock(1);
  while (hasher.step(each)) {
  }
  EXPECT_EQ(hasher.result().status, FileHash::Status::Changed);
}

TEST_F(PageCacheTest, AFileThatBecameAnotherIsUnreadable) {
  image.make_file(4096);
  image.store_pages(1, 0);
  FileHasher hasher(pages, file(), 1U << 30);
  image.become_inode(99);
  auto each = reader();
  while (hasher.step(each)) {
  }
  EXPECT_EQ(hasher.result().status, FileHash::Status::Unreadable);
}

TEST_F(PageCacheTest, SizesHaveACapAndBudgetsAnEnd) {
  image.make_file(std::size_t{10} * 4096);
  image.store_pages(10, 1);
  EXPECT_EQ(hash(4096).status, FileHash::Status::TooLarge);
  FileHasher hasher(pages, file(), 1U << 30);
  KernelReader poor(space, {4, 1U << 20});
  while (hasher.step(poor)) {
  }
  EXPECT_EQ(hasher.result().status, FileHash::Status::Unreadable);
}

TEST_F(PageCacheTest, OnlyRegularFilesOfPlausibleSizeAreFiles) {
  image.make_file(4096);
  auto once = reader();
  image.set_mode(0060644);
  EXPECT_FALSE(pages.file_of(image.mapping(), once));
  EXPECT_FALSE(pages.file_of(GuestVirtual{}, once));
}

TEST_F(PageCacheTest, AKernelThatLacksSomethingIsTold) {
  image.types().remove_member("xa_node", "shift");
  EXPECT_EQ(PageCacheLayout::bind(image.types(), image.symbols()).error(), "xa_node.shift");
}

} // namespace
} // namespace outguard::guest
