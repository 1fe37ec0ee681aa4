#include <gtest/gtest.h>

#include "guest/linux/owner_hints.h"

namespace outguard::guest {
namespace {

TEST(OwnerHintsTest, WhatWasNotedLastIsTold) {
  OwnerHints hints;
  const GuestVirtual file(0xffff'8880'0100'0000);
  EXPECT_FALSE(hints.find(file));
  hints.note(file, GuestVirtual(1));
  hints.note(file, GuestVirtual(2));
  EXPECT_EQ(hints.find(file), GuestVirtual(2));
  hints.forget();
  EXPECT_FALSE(hints.find(file));
}

TEST(OwnerHintsTest, AnEmptySlotIsNoFile) {
  OwnerHints hints;
  hints.note(GuestVirtual(0), GuestVirtual(1));
  EXPECT_FALSE(hints.find(GuestVirtual(1)));
}

TEST(OwnerHintsTest, SoManyFilesAsAGuestHasAreKept) {
  OwnerHints hints;
  constexpr std::uint64_t kFiles = 10'000;
  constexpr std::uint64_t kFileBytes = 256;
  for (std::uint64_t number = 1; number <= kFiles; ++number) {
    hints.note(GuestVirtual(number * kFileBytes), GuestVirtual(number));
  }
  std::uint64_t kept = 0;
  for (std::uint64_t number = 1; number <= kFiles; ++number) {
    const auto found = hints.find(GuestVirtual(number * kFileBytes));
    EXPECT_EQ(found.value_or(GuestVirtual(number)), GuestVirtual(number)); // lost, never another's
    kept += found ? 1U : 0U;
  }
  EXPECT_GT(kept, kFiles * 99 / 100);
}

TEST(OwnerHintsTest, TheOldestMakeRoom) {
  OwnerHints hints;
  constexpr std::uint64_t kFiles = std::uint64_t{1} << 20; // far more than there is room for
  for (std::uint64_t number = 1; number <= kFiles; ++number) {
    hints.note(GuestVirtual(number), GuestVirtual(number));
  }
  EXPECT_EQ(hints.find(GuestVirtual(kFiles)), GuestVirtual(kFiles));
  EXPECT_FALSE(hints.find(GuestVirtual(1)));
}

} // namespace
} // namespace outguard::guest
