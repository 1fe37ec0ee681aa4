// Archives are made here, right and wrong; the libraries that pack are the ones that unpack.
#include <map>

#include <gtest/gtest.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "intel/feeds/archive.h"
#include "intel/feeds/archive_testing.h"
#include "intel/feeds/feeds_testing.h"

namespace outguard::intel {
namespace {

using Words = std::vector<std::string>;

std::string text_of(const Unpacked &unpacked) {
  return unpacked ? std::string(unpacked->begin(), unpacked->end()) : "error: " + unpacked.error();
}

std::vector<std::uint8_t> packed_xz(std::string_view text) {
  std::vector<std::uint8_t> out(text.size() + 1024);
  std::size_t size = 0;
  EXPECT_EQ(::lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, nullptr,
                                      reinterpret_cast<const std::uint8_t *>(text.data()),
                                      text.size(), out.data(), &size, out.size()),
            LZMA_OK);
  out.resize(size);
  return out;
}

std::vector<std::uint8_t> packed_zstd(std::string_view text) {
  std::vector<std::uint8_t> out(::ZSTD_compressBound(text.size()));
  out.resize(::ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 1));
  return out;
}

struct Maker {
  Packing packing;
  std::vector<std::uint8_t> (*make)(std::string_view);
};
const Maker kMakers[] = {
    {Packing::Gzip, packed_gzip}, {Packing::Xz, packed_xz}, {Packing::Zstd, packed_zstd}};

class OneFile : public testing::TestWithParam<Maker> {};
INSTANTIATE_TEST_SUITE_P(All, OneFile, testing::ValuesIn(kMakers));

TEST_P(OneFile, ComesOutAsItWentIn) {
  std::string text;
  for (unsigned i = 0; text.size() < 3'000'000; ++i) {
    text += std::to_string(i * 2654435761U) + ".com\n";
  }
  const auto packed = GetParam().make(text);
  EXPECT_EQ(packing_of(packed), GetParam().packing);
  EXPECT_TRUE(text_of(unpack(GetParam().packing, packed)) == text);

  auto twice = GetParam().make("a.com\n");
  const auto more = GetParam().make("b.com\n");
  twice.insert(twice.end(), more.begin(), more.end());
  EXPECT_EQ(text_of(unpack(GetParam().packing, twice)), "a.com\nb.com\n");
}

TEST_P(OneFile, CutOrDamagedIsRefused) {
  const auto packed = GetParam().make("evil.com\nvery-evil.com\nmost-evil.com\n");
  for (std::size_t size = 8; size < packed.size(); ++size) {
    EXPECT_FALSE(unpack(GetParam().packing, std::span(packed).first(size))) << size;
  }
  auto damaged = packed;
  damaged[damaged.size() / 2] ^= 0x55;
  EXPECT_NE(text_of(unpack(GetParam().packing, damaged)),
            "evil.com\nvery-evil.com\nmost-evil.com\n");
}

TEST_P(OneFile, BombsAreRefused) {
  std::string letters;
  letters.resize(40'000'000, 'a');
  const auto packed = GetParam().make(letters);
  EXPECT_EQ(text_of(unpack(GetParam().packing, packed)),
            "error: unpacks to more than 250 times its size");
  UnpackLimits small;
  small.most_bytes = 1 << 20;
  const auto big = GetParam().make(std::string(3 << 20, 'a'));
  EXPECT_EQ(text_of(unpack(GetParam().packing, big, small)),
            "error: more than 1 MiB when unpacked");
}

std::map<std::string, std::string> members(const std::vector<std::uint8_t> &zip,
                                           std::string *problem = nullptr) {
  std::map<std::string, std::string> found;
  const auto why = unpack_zip(
      zip, [&](const std::string &name, const Unpacked &bytes) { found[name] = text_of(bytes); });
  if (problem != nullptr) {
    *problem = why;
  }
  return found;
}

TEST(Zip, GivesEveryFile) {
  ZipMaker zip;
  zip.add("a.txt", "a.com\n").add("folder/", "").add("folder/b.txt", "b.com\n", ZipMaker::Stored);
  std::string problem;
  EXPECT_EQ(
      members(zip.finish("with a comment"), &problem),
      (std::map<std::string, std::string>{{"a.txt", "a.com\n"}, {"folder/b.txt", "b.com\n"}}));
  EXPECT_EQ(problem, "");
}

TEST(Zip, FaultsOfOneFileAreItsOwn) {
  ZipMaker zip;
  zip.add("good", "a.com\n").add("crc", "b.com\n").add("secret", "c.com\n").add("odd", "d.com\n");
  zip.add("size", "e.com\n");
  zip.member(1).crc ^= 1;
  zip.member(2).flags = 1;
  zip.member(3).method = 99;
  zip.member(4).size += 1;
  EXPECT_EQ(members(zip.finish()),
            (std::map<std::string, std::string>{{"good", "a.com\n"},
                                                {"crc", "error: wrong checksum"},
                                                {"secret", "error: encrypted"},
                                                {"odd", "error: packed by an unknown method"},
                                                {"size", "error: unpacks to less than it says"}}));
}

TEST(Zip, FaultsOfTheArchiveAreTold) {
  ZipMaker zip;
  zip.add("a", "a.com\n");
  const auto good = zip.finish();
  std::string problem;
  for (std::size_t size = 4; size < good.size(); ++size) {
    members({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)}, &problem);
    EXPECT_NE(problem, "") << size;
  }
  ZipMaker overlap;
  overlap.add("a", std::string(200, 'a'), ZipMaker::Stored);
  for (int i = 0; i < 4; ++i) {
    overlap.add_again("b" + std::to_string(i), 0);
  }
  members(overlap.finish(), &problem);
  EXPECT_EQ(problem, "zip whose files overlap");
  ZipMaker huge;
  huge.add("a", "x");
  huge.member(0).size = 0x7fffffff;
  members(huge.finish(), &problem);
  EXPECT_EQ(problem, "more than 1024 MiB when unpacked");
}

std::string as_text(const std::vector<std::uint8_t> &bytes) {
  return {bytes.begin(), bytes.end()};
}

TEST(PackedFeed, IsReadLikeAnyOther) {
  const ReadFeed feed("list.txt.gz", as_text(packed_gzip("evil.com\n")));
  EXPECT_EQ(feed.report().format, "list, gzip");
  EXPECT_EQ(feed.indicators, Words{"domain evil.com"});
  const ReadFeed cut("list.txt.gz", as_text(packed_gzip("evil.com\n")).substr(0, 12));
  EXPECT_EQ(cut.report().problem, "gzip data cut short");
  EXPECT_EQ(cut.report().format, "gzip");
}

TEST(PackedFeed, EachFileOfAZipIsAFeed) {
  ZipMaker zip;
  zip.add("a.csv", "url,threat\nhttp://evil.com/x,y\n").add("b.txt", "evil.com\n");
  zip.add("c.gz", as_text(packed_gzip("c.evil.com\n")));
  ZipMaker inner;
  inner.add("x", "y");
  zip.add("d.zip", as_text(inner.finish()));
  const ReadFeed feed("all.zip", as_text(zip.finish()));
  ASSERT_EQ(feed.reports.size(), 4U);
  EXPECT_EQ(feed.reports[0].name, "all.zip/a.csv");
  EXPECT_EQ(feed.reports[0].format, "csv, zip");
  EXPECT_EQ(feed.reports[1].format, "list, zip");
  EXPECT_EQ(feed.reports[2].format, "list, zip, gzip");
  EXPECT_EQ(feed.reports[3].problem, "an archive within an archive");
  EXPECT_EQ(feed.indicators,
            (Words{"url http://evil.com/x", "domain evil.com", "domain c.evil.com"}));
  ZipMaker empty;
  EXPECT_EQ(ReadFeed("e.zip", as_text(empty.finish())).report().problem, "no file in the archive");
}

} // namespace
} // namespace outguard::intel
