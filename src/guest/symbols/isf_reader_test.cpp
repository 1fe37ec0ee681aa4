#include <gtest/gtest.h>

#include "guest/symbols/isf_reader.h"
#include "guest/testing/isf_builder.h"

namespace outguard::guest {
namespace {

using Isf = IsfBuilder;

constexpr std::string_view kBanner = "Linux version 6.1.0-test (builder) #1 SMP";

Isf small() {
  Isf isf;
  isf.add_base("int", 4);
  isf.add_base("unsigned char", 1);
  isf.add_base("long unsigned int", 8);
  isf.add_enum("pid_type", "PIDTYPE_TGID", 1);
  isf.add_enum("other", "BELOW_ZERO", -5);
  isf.add_struct("list_head", 16,
                 {{"next", 0, Isf::pointer(Isf::composite("list_head"))},
                  {"prev", 8, Isf::pointer(Isf::composite("list_head"))}});
  isf.add_struct("unnamed_1", 24,
                 {{"inner", 0, Isf::composite("list_head")}, {"number", 16, Isf::base("int")}});
  isf.add_struct("thing", 128,
                 {{"first", 0, Isf::base("int")},
                  {"unnamed_field_8", 8, Isf::composite("unnamed_1"), true},
                  {"words", 32, Isf::array(3, Isf::array(2, Isf::base("int")))},
                  {"pointers", 56, Isf::array(2, Isf::pointer(Isf::base("int")))},
                  {"flexible", 72, Isf::array(0, Isf::base("int"))},
                  {"kind", 76, Isf::enumeration("pid_type")},
                  {"bit", 80, Isf::bits(5, 2, Isf::base("unsigned char"))},
                  {"beyond", 81, Isf::bits(7, 2, Isf::base("unsigned char"))},
                  {"unknown", 82, R"({"kind":"function"})"}});
  isf.add_banner(0xffff'ffff'8200'0000, std::string(kBanner) + "\n");
  isf.add_symbol("_text", 0xffff'ffff'8100'0000);
  isf.add_symbol("per_cpu", 0x1f40);
  isf.add_symbol("nowhere", 0);
  return isf;
}

/// With the two neighbours that tell how bits are counted.
Isf with_bits(int four_bits, int next_bit) {
  Isf isf = small();
  isf.add_struct("sock_common", 24,
                 {{"skc_reuse", 19, Isf::bits(four_bits, 4, Isf::base("unsigned char"))},
                  {"skc_reuseport", 19, Isf::bits(next_bit, 1, Isf::base("unsigned char"))}});
  return isf;
}

void expect_member(const TypeTable &types, std::string_view path, Member expected) {
  const auto found = types.member("thing", path);
  ASSERT_TRUE(found) << path;
  EXPECT_EQ(found->offset, expected.offset) << path;
  EXPECT_EQ(found->size, expected.size) << path;
  EXPECT_EQ(found->bit_offset, expected.bit_offset) << path;
  EXPECT_EQ(found->bit_size, expected.bit_size) << path;
}

void expect_small(const tl::expected<IsfFile, std::string> &file) {
  ASSERT_TRUE(file) << file.error();
  EXPECT_EQ(file->banner, kBanner);
  expect_member(*file->types, "first", {0, 4, 0, 0});
  expect_member(*file->types, "number", {24, 4, 0, 0});
  expect_member(*file->types, "inner", {8, 16, 0, 0});
  expect_member(*file->types, "inner.prev", {16, 8, 0, 0});
  expect_member(*file->types, "words", {32, 24, 0, 0});
  expect_member(*file->types, "pointers", {56, 16, 0, 0});
  expect_member(*file->types, "flexible", {72, 0, 0, 0});
  expect_member(*file->types, "kind", {76, 4, 0, 0});
  EXPECT_EQ(file->types->size_of("thing"), 128U);
  EXPECT_EQ(file->types->enumerator("PIDTYPE_TGID"), 1);
  EXPECT_EQ(file->types->enumerator("BELOW_ZERO"), -5);
  EXPECT_EQ(file->types->enumerator("NONE"), std::nullopt);
  for (const char *path : {"nothing", "first.nothing", "inner.nothing", "unnamed_field_8", ""}) {
    EXPECT_FALSE(file->types->member("thing", path)) << path;
  }
  EXPECT_FALSE(file->types->size_of("nothing"));
}

TEST(IsfReader, PlainAndPacked) {
  const std::string json = small().json();
  expect_small(read_isf(file_of(json)));
  expect_small(read_isf(file_of(pack_xz(json))));
}

TEST(IsfReader, LongerThanItsBuffers) {
  Isf isf = small();
  for (int i = 0; i < 40'000; ++i) {
    isf.add_symbol("filler_" + std::to_string(i), 0xffff'ffff'8100'0000 + std::uint64_t(i) * 16);
  }
  const std::string json = isf.json();
  ASSERT_GT(json.size(), std::size_t{2} << 20);
  for (const auto &bytes : {json, pack_xz(json)}) {
    const auto file = read_isf(file_of(bytes));
    expect_small(file);
    EXPECT_EQ(file->symbols->find("filler_39999"),
              GuestVirtual(0xffff'ffff'8100'0000 + std::uint64_t{39'999} * 16));
  }
}

TEST(IsfReader, SymbolsMoveWithTheImage) {
  auto file = read_isf(file_of(small().json())).value();
  file.symbols->relocate(0x1140'0000);
  EXPECT_EQ(file.symbols->find("_text"), GuestVirtual(0xffff'ffff'9240'0000));
  EXPECT_EQ(file.symbols->find("per_cpu"), GuestVirtual(0x1f40));
  EXPECT_EQ(file.symbols->find("nowhere"), std::nullopt) << "the file does not know it";
  EXPECT_EQ(file.symbols->find("nothing"), std::nullopt);
}

TEST(IsfReader, BitsAreCountedAsTheFileCountsThem) {
  const auto from_low = read_isf(file_of(with_bits(0, 4).json())).value();
  expect_member(*from_low.types, "bit", {80, 1, 5, 2});
  EXPECT_FALSE(from_low.types->member("thing", "beyond")) << "past its unit";
  const auto from_high = read_isf(file_of(with_bits(4, 3).json())).value();
  expect_member(*from_high.types, "bit", {80, 1, 1, 2});
  // Both at 0: the tool lost the positions. Better no answer than a wrong one.
  const auto lost = read_isf(file_of(with_bits(0, 0).json())).value();
  EXPECT_FALSE(lost.types->member("thing", "bit"));
  EXPECT_FALSE(read_isf(file_of(small().json()))->types->member("thing", "bit"));
}

TEST(IsfReader, ReasonsOfRefusal) {
  const std::string json = small().json();
  const std::string packed = pack_xz(json);
  std::string damaged = packed;
  damaged[packed.size() / 2] = static_cast<char>(damaged[packed.size() / 2] ^ 0x55);
  std::string deep = R"({"a":)";
  for (int i = 0; i < 200; ++i) {
    deep += R"({"a":)";
  }
  const std::pair<std::string, const char *> cases[] = {
      {"", "the file is no JSON"},
      {"not json", "the file is no JSON"},
      {json.substr(0, json.size() / 2), "the file is no JSON"},
      {packed.substr(0, packed.size() / 2), "the .xz file is cut off"},
      {damaged, "the .xz file is damaged"},
      {"[]", "the file does not say which kernel it is of (linux_banner)"},
      {"{}", "the file does not say which kernel it is of (linux_banner)"},
      {R"([[{"symbols":{"linux_banner":{"constant_data":"TGlu"}}}]])",
       "the file does not say which kernel it is of (linux_banner)"},
      {deep, "the file nests too deep"},
  };
  for (const auto &[bytes, why] : cases) {
    const auto file = read_isf(file_of(bytes));
    ASSERT_FALSE(file) << why;
    EXPECT_EQ(file.error(), why);
  }
  EXPECT_EQ(read_isf(Fd()).error(), "the file cannot be read");
}

TEST(IsfReader, FilesThatAreTooLongAreRefused) {
  const std::string spaces(std::size_t{3} << 20, ' ');
  const IsfLimits limits{1 << 20, 1 << 20};
  EXPECT_EQ(read_isf(file_of(spaces), limits).error(), "the file is too long");
  ASSERT_LT(pack_xz(spaces).size(), 1U << 20);
  EXPECT_EQ(read_isf(file_of(pack_xz(spaces)), limits).error(),
            "the file is too long when unpacked");
}

TEST(IsfReader, OneEnumOfTooManyConstantsEndsTheReading) {
  std::string json = R"({"enums":{"all":{"constants":{)";
  for (int i = 0; i <= 1 << 20; ++i) {
    json += R"("":0,)";
  }
  // It does not end properly: whoever waits for the end of the enum finds no JSON.
  EXPECT_EQ(read_isf(file_of(json)).error(), "the file has more types or symbols than any kernel");
}

TEST(IsfReader, TypesThatContainThemselvesEnd) {
  Isf isf = small();
  isf.add_struct("loop", 8, {{"u", 0, Isf::composite("loop"), true}});
  isf.add_struct(
      "twins", 8,
      {{"u", 0, Isf::composite("twins"), true}, {"v", 4, Isf::composite("twins"), true}});
  const auto file = read_isf(file_of(isf.json())).value();
  EXPECT_FALSE(file.types->member("loop", "x"));
  EXPECT_FALSE(file.types->member("twins", "x"));
}

} // namespace
} // namespace outguard::guest
