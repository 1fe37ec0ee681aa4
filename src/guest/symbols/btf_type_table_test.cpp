#include <gtest/gtest.h>

#include "guest/symbols/btf_type_table.h"
#include "guest/testing/btf_builder.h"

namespace outguard::guest {
namespace {

class BtfTest : public testing::Test {
protected:
  [[nodiscard]] std::unique_ptr<BtfTypeTable> table() const {
    auto parsed = BtfTypeTable::parse(btf_.build());
    EXPECT_TRUE(parsed);
    return parsed ? std::move(*parsed) : nullptr;
  }

  BtfBuilder btf_;
  std::uint32_t int_ = btf_.add_int("int", 4);
  std::uint32_t long_ = btf_.add_int("long unsigned int", 8);
  std::uint32_t char_ = btf_.add_int("char", 1);
};

TEST_F(BtfTest, FindsMembersAndSizes) {
  const auto pointer = btf_.add_reference(BtfKind::Pointer, "", int_);
  const auto text = btf_.add_array(char_, 16);
  btf_.add_composite(BtfKind::Struct, "task_struct", 40,
                     {{"pid", int_, 64}, {"signal", pointer, 128}, {"comm", text, 192}});
  const auto types = table();
  EXPECT_EQ(types->size_of("task_struct"), 40U);
  const auto signal = types->member("task_struct", "signal");
  ASSERT_TRUE(signal);
  EXPECT_EQ(signal->offset, 16U);
  EXPECT_EQ(signal->size, 8U);
  EXPECT_EQ(signal->bit_size, 0);
  EXPECT_EQ(types->member("task_struct", "comm")->size, 16U);
  EXPECT_EQ(types->member("task_struct", "comm")->offset, 24U);
}

TEST_F(BtfTest, SaysNotFound) {
  btf_.add_composite(BtfKind::Struct, "file", 8, {{"f_count", long_, 0}});
  const auto types = table();
  for (const auto &[type, path] : {std::pair{"file", "f_ref"},
                                   {"file", ""},
                                   {"file", "f_count.x"},
                                   {"filename", "f_count"},
                                   {"", "f_count"},
                                   {"file", "f_count."},
                                   {"file", ".f_count"}}) {
    const auto member = types->member(type, path);
    ASSERT_FALSE(member) << type << " " << path;
    EXPECT_EQ(member.error().code, FaultCode::NotFound);
  }
  EXPECT_EQ(types->size_of("int").error().code, FaultCode::NotFound) << "no structure";
}

TEST_F(BtfTest, FollowsPathsThroughEmbeddedStructures) {
  const auto inner = btf_.add_composite(BtfKind::Struct, "sock_common", 16,
                                        {{"skc_daddr", int_, 0}, {"skc_portpair", int_, 96}});
  const auto renamed = btf_.add_reference(BtfKind::Typedef, "common_t", inner);
  const auto constant = btf_.add_reference(BtfKind::Const, "", renamed);
  const auto tagged = btf_.add_reference(BtfKind::TypeTag, "rcu", constant);
  btf_.add_composite(BtfKind::Struct, "sock", 64,
                     {{"lock", long_, 0}, {"__sk_common", tagged, 64}});
  const auto types = table();
  const auto member = types->member("sock", "__sk_common.skc_portpair");
  ASSERT_TRUE(member);
  EXPECT_EQ(member->offset, 8U + 12U);
  EXPECT_EQ(types->member("common_t", "skc_portpair")->offset, 12U) << "a typedef names it as well";
  EXPECT_EQ(types->size_of("common_t"), 16U);
}

TEST_F(BtfTest, DoesNotFollowPointers) {
  const auto inner = btf_.add_composite(BtfKind::Struct, "inner", 4, {{"x", int_, 0}});
  const auto pointer = btf_.add_reference(BtfKind::Pointer, "", inner);
  btf_.add_composite(BtfKind::Struct, "outer", 8, {{"p", pointer, 0}});
  EXPECT_FALSE(table()->member("outer", "p.x"));
}

TEST_F(BtfTest, LooksIntoUnnamedMembersAtEveryLevel) {
  const auto deep = btf_.add_composite(BtfKind::Struct, "", 8, {{"a", int_, 0}, {"b", int_, 32}});
  const auto either =
      btf_.add_composite(BtfKind::Union, "", 8, {{"whole", long_, 0}, {"", deep, 0}});
  const auto path = btf_.add_composite(BtfKind::Struct, "path", 16, {{"", either, 64}});
  btf_.add_composite(BtfKind::Struct, "file", 48, {{"first", long_, 0}, {"f_path", path, 128}});
  EXPECT_EQ(table()->member("file", "f_path.b")->offset, 16U + 8U + 4U);
  EXPECT_EQ(table()->member("path", "whole")->offset, 8U);
}

TEST_F(BtfTest, DescribesBitFields) {
  btf_.add_composite(
      BtfKind::Struct, "bits", 16,
      {{"plain", int_, 0}, {"one", int_, 64 + 32 + 3, 1}, {"seven", int_, 64 + 36, 7}});
  const auto types = table();
  const auto one = types->member("bits", "one");
  ASSERT_TRUE(one);
  EXPECT_EQ(one->offset, 12U);
  EXPECT_EQ(one->size, 4U);
  EXPECT_EQ(one->bit_offset, 3);
  EXPECT_EQ(one->bit_size, 1);
  EXPECT_EQ(types->member("bits", "seven")->bit_offset, 4);
  EXPECT_EQ(types->member("bits", "plain")->bit_size, 0);
}

TEST_F(BtfTest, RefusesABitFieldWiderThanItsType) {
  btf_.add_composite(BtfKind::Struct, "bits", 8, {{"wide", int_, 30, 9}, {"far", char_, 0, 60}});
  EXPECT_EQ(table()->member("bits", "wide").error().code, FaultCode::Malformed);
  EXPECT_EQ(table()->member("bits", "far").error().code, FaultCode::Malformed);
}

TEST_F(BtfTest, FindsEnumerators) {
  btf_.add_enum("pid_type", {{"PIDTYPE_PID", 0}, {"PIDTYPE_TGID", 1}});
  btf_.add_enum("", {{"MINUS", -1}}, true);
  btf_.add_enum64("", {{"BIG", 0x1'2345'6789}, {"MINUS64", -2}});
  const auto types = table();
  EXPECT_EQ(types->enumerator("PIDTYPE_TGID"), 1);
  EXPECT_EQ(types->enumerator("MINUS"), -1);
  EXPECT_EQ(types->enumerator("BIG"), 0x1'2345'6789);
  EXPECT_EQ(types->enumerator("MINUS64"), -2);
  EXPECT_FALSE(types->enumerator("PIDTYPE"));
  EXPECT_FALSE(types->enumerator(""));
}

TEST_F(BtfTest, PrefersStructuresToTypedefsAndTheFirstOfAName) {
  const auto other = btf_.add_composite(BtfKind::Struct, "other", 24, {});
  btf_.add_reference(BtfKind::Typedef, "thing", other);
  btf_.add_composite(BtfKind::Struct, "thing", 8, {});
  btf_.add_composite(BtfKind::Struct, "thing", 16, {});
  EXPECT_EQ(table()->size_of("thing"), 8U);
}

TEST_F(BtfTest, SkipsEveryKind) {
  btf_.add_raw(0, 7U << 24, 0, {});                      // forward
  btf_.add_raw(0, 12U << 24, int_, {});                  // function
  btf_.add_raw(0, 13U << 24 | 2, int_, {0, int_, 0, 0}); // prototype
  btf_.add_raw(0, 14U << 24, int_, {1});                 // variable
  btf_.add_raw(0, 15U << 24 | 1, 8, {1, 0, 8});          // data section
  btf_.add_raw(0, 16U << 24, 8, {});                     // float
  btf_.add_raw(0, 17U << 24, 1, {0});                    // declaration tag
  btf_.add_composite(BtfKind::Struct, "last", 12, {});
  EXPECT_EQ(table()->size_of("last"), 12U);
}

TEST_F(BtfTest, SizesOfArraysMultiplyAndAreCapped) {
  const auto row = btf_.add_array(int_, 10);
  const auto grid = btf_.add_array(row, 3);
  // 2^64 + 2^20 elements: a product that wraps would look like 4 MiB.
  const auto huge =
      btf_.add_array(btf_.add_array(btf_.add_array(int_, 17'825'792), 2'931'542'417), 353);
  btf_.add_composite(BtfKind::Struct, "s", 8, {{"grid", grid, 0}, {"huge", huge, 0}});
  EXPECT_EQ(table()->member("s", "grid")->size, 120U);
  EXPECT_EQ(table()->member("s", "huge")->size, 0U) << "unknown, not wrapped";
}

TEST_F(BtfTest, TypesThatContainThemselvesEnd) {
  const auto next = btf_.next_id();
  btf_.add_composite(BtfKind::Struct, "loop", 8, {{"", next, 0}, {"", next, 0}, {"", next, 0}});
  btf_.add_reference(BtfKind::Typedef, "self", next + 1);
  btf_.add_array(next + 2, 1);
  btf_.add_composite(BtfKind::Struct, "holder", 8, {{"t", next + 1, 0}, {"a", next + 2, 0}});
  const auto types = table();
  EXPECT_EQ(types->member("loop", "x").error().code, FaultCode::LimitReached);
  EXPECT_EQ(types->size_of("self").error().code, FaultCode::NotFound);
  EXPECT_EQ(types->member("holder", "a")->size, 0U);
}

TEST_F(BtfTest, RefusesBadSections) {
  btf_.add_composite(BtfKind::Struct, "s", 8, {{"m", int_, 0}});
  const auto good = btf_.build();
  ASSERT_TRUE(BtfTypeTable::parse(good));
  for (const std::size_t byte : {0U, 1U, 2U, 3U, 4U}) { // magic, version, flags, header length
    auto bad = good;
    bad[byte] = static_cast<std::uint8_t>(bad[byte] ^ 0x40);
    EXPECT_FALSE(BtfTypeTable::parse(bad)) << byte;
  }
  for (std::size_t length = 0; length < good.size(); ++length) {
    EXPECT_FALSE(
        BtfTypeTable::parse({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)}))
        << length;
  }
  auto unterminated = good;
  ASSERT_FALSE(unterminated.empty());
  unterminated[unterminated.size() - 1] = 'x';
  EXPECT_EQ(BtfTypeTable::parse(unterminated).error().code, FaultCode::Malformed);
}

TEST_F(BtfTest, RefusesBadRecords) {
  auto bad_name = btf_;
  bad_name.add_raw(0x7fff'ffff, 7U << 24, 0, {});
  EXPECT_FALSE(BtfTypeTable::parse(bad_name.build()));
  auto bad_kind = btf_;
  bad_kind.add_raw(0, 31U << 24, 0, {});
  EXPECT_FALSE(BtfTypeTable::parse(bad_kind.build()));
  auto too_many_members = btf_;
  too_many_members.add_raw(0, 4U << 24 | 2, 8, {0, 1, 0});
  EXPECT_EQ(BtfTypeTable::parse(too_many_members.build()).error().code, FaultCode::OutOfRange);
}

TEST(BtfLength, ReadsTheHeaderAlone) {
  BtfBuilder btf;
  btf.add_int("int", 4);
  auto bytes = btf.build();
  const auto whole = bytes.size();
  bytes.resize(kBtfHeaderBytes);
  EXPECT_EQ(btf_length(bytes), whole);
  bytes[15] = 0xff; // type length: gigabytes
  EXPECT_EQ(btf_length(bytes).error().code, FaultCode::LimitReached);
}

} // namespace
} // namespace outguard::guest
