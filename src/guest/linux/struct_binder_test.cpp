#include <gtest/gtest.h>

#include "guest/linux/kernel_reader.h"
#include "guest/linux/linux_layout.h"
#include "guest/linux/struct_binder.h"
#include "guest/testing/linux_image.h"

namespace outguard::guest {
namespace {

TEST(StructBinder, ExtentCoversWhatWasBound) {
  FakeTypeTable types;
  types.add_member("thing", "low", {16, 4, 0, 0});
  types.add_member("thing", "high", {100, 8, 0, 0});
  types.add_member("thing", "far", {5000, 8, 0, 0});
  std::string missing;
  StructBinder binder(types, "thing", missing);
  EXPECT_EQ(binder.pointer("high").offset, 100U);
  EXPECT_EQ(binder.number("low").offset, 16U);
  EXPECT_EQ(binder.place("far").offset, 5000U);
  EXPECT_EQ(binder.extent().begin, 16U);
  EXPECT_EQ(binder.extent().end, 108U);
  EXPECT_TRUE(missing.empty());
}

TEST(StructBinder, MembersFarApartAreCopiedInParts) {
  GuestImageBuilder image;
  const GuestVirtual object = image.allocate(8192);
  image.put<std::uint64_t>(object.plus_wrapping(24), 24);
  image.put<std::uint64_t>(object.plus_wrapping(300), 300);
  image.put<std::uint64_t>(object.plus_wrapping(6000), 6000);
  FakeTypeTable types;
  types.add_member("thing", "low", {24, 8, 0, 0});
  types.add_member("thing", "near", {150, 8, 0, 0});
  types.add_member("thing", "middle", {300, 8, 0, 0});
  types.add_member("thing", "far", {6000, 8, 0, 0});
  types.add_member("thing", "unbound", {3000, 8, 0, 0});
  std::string missing;
  StructBinder binder(types, "thing", missing);
  const Member far = binder.pointer("far"); // in no order
  const Member low = binder.pointer("low");
  static_cast<void>(binder.pointer("near"));
  const Member middle = binder.pointer("middle");
  const Extent extent = binder.extent();
  EXPECT_EQ(extent.size(), 6008U - 24U);
  EXPECT_EQ(extent.part_count, 2U) << "what lies near is one part";
  EXPECT_FALSE(extent.is_copied(binder.place("unbound")));
  const AddressSpace space = image.space();
  KernelReader reader(space, {2, 1000});
  ObjectCopy copy(extent);
  ASSERT_TRUE(copy.load(reader, object)) << "not its 6 KB, and one step";
  EXPECT_EQ(copy.number(low), 24U);
  EXPECT_EQ(copy.number(middle), 300U);
  EXPECT_EQ(copy.number(far), 6000U);
  EXPECT_EQ(reader.budget().steps_left(), 1U);
}

TEST(StructBinder, TakesTheFirstNameThatExists) {
  FakeTypeTable types;
  types.add_member("thing", "old", {8, 8, 0, 0});
  std::string missing;
  EXPECT_EQ(StructBinder(types, "thing", missing).number({"new", "old"}).offset, 8U);
  EXPECT_TRUE(missing.empty());
}

TEST(StructBinder, NamesTheFirstThatIsMissing) {
  FakeTypeTable types;
  types.add_member("thing", "wide", {0, 16, 0, 0});
  std::string missing;
  StructBinder binder(types, "thing", missing);
  static_cast<void>(binder.number("wide")); // there, but no integer
  static_cast<void>(binder.pointer("absent"));
  EXPECT_EQ(missing, "thing.wide");
}

TEST(StructBinder, ABitFieldOfAWholeWordIsNone) {
  FakeTypeTable types;
  types.add_member("thing", "bits", {0, 8, 0, 64});
  std::string missing;
  static_cast<void>(StructBinder(types, "thing", missing).number("bits"));
  EXPECT_EQ(missing, "thing.bits");
}

TEST(StructBinder, AnImplausibleOffsetCountsAsMissing) {
  FakeTypeTable types;
  types.add_member("thing", "far", {0xffff'fff0, 8, 0, 0});
  types.add_member("thing", "bits", {0, 1, 6, 7});
  std::string missing;
  static_cast<void>(StructBinder(types, "thing", missing).number("far"));
  EXPECT_EQ(missing, "thing.far");
  missing.clear();
  static_cast<void>(StructBinder(types, "thing", missing).number("bits"));
  EXPECT_EQ(missing, "thing.bits");
}

TEST(LinuxLayout, EveryMemberIsNeededAndNamed) {
  LinuxImage image;
  ASSERT_TRUE(LinuxLayout::bind(image.types()));
  for (const auto &[type, member] : {std::pair{"task_struct", "signal"},
                                     {"mount", "mnt"},
                                     {"sock_common", "skc_state"},
                                     {"udp_hslot", "head"}}) {
    FakeTypeTable types = image.types();
    types.remove_member(type, member);
    const auto layout = LinuxLayout::bind(types);
    ASSERT_FALSE(layout);
    EXPECT_EQ(layout.error(), std::string(type) + "." + member);
  }
}

TEST(LinuxLayout, FollowsTheRenamedMembers) {
  LinuxImage image;
  FakeTypeTable types = image.types();
  const auto state = types.member("task_struct", "__state").value();
  types.remove_member("task_struct", "__state");
  types.add_member("task_struct", "state", {state.offset, 8, 0, 0});
  const auto layout = LinuxLayout::bind(types);
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->task.state.offset, state.offset);
  EXPECT_EQ(layout->task.state.size, 8U);
}

} // namespace
} // namespace outguard::guest
