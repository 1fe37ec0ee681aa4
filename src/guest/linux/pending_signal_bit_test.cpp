#include <vector>

#include <gtest/gtest.h>

#include "guest/linux/pending_signal_bit.h"

namespace outguard::guest {
namespace {

using Code = std::vector<std::uint8_t>;

TEST(PendingSignalBit, ReadsEveryFormOfSetBit) {
  // Assembled by hand; comments as objdump prints them.
  EXPECT_EQ(bit_set_by(Code{0xf0, 0x80, 0x0f, 0x04}, 0), 2U); // lock orb $4,(%rdi)
  EXPECT_EQ(bit_set_by(Code{0x53, 0xf0, 0x80, 0x0f, 0x02, 0x89}, 0),
            1U);                                                       // push; lock orb $2,(%rdi)
  EXPECT_EQ(bit_set_by(Code{0x3e, 0x80, 0x0f, 0x04}, 0), 2U);          // on one CPU
  EXPECT_EQ(bit_set_by(Code{0xf0, 0x80, 0x4f, 0x10, 0x04}, 16), 2U);   // lock orb $4,0x10(%rdi)
  EXPECT_EQ(bit_set_by(Code{0xf0, 0x48, 0x83, 0x0f, 0x04}, 0), 2U);    // lock orq $4,(%rdi)
  EXPECT_EQ(bit_set_by(Code{0xf0, 0x81, 0x0f, 0x08, 0, 0, 0}, 0), 3U); // lock orl $8,(%rdi)
  EXPECT_EQ(bit_set_by(Code{0xf0, 0x0f, 0xba, 0x2f, 0x02}, 0), 2U);    // lock btsl $2,(%rdi)
  EXPECT_EQ(bit_set_by(Code{0xf0, 0x41, 0x80, 0x0c, 0x24, 0x04}, 0), 2U); // lock orb $4,(%r12)
  EXPECT_EQ(bit_set_by(Code{0xf0, 0x80, 0x8f, 0x00, 0x01, 0, 0, 0x04}, 256), 2U);
}

TEST(PendingSignalBit, RefusesWhatMakesNoSense) {
  EXPECT_FALSE(bit_set_by(Code{}, 0));
  EXPECT_FALSE(bit_set_by(Code{0x80, 0x0f, 0x04}, 0));             // no lock
  EXPECT_FALSE(bit_set_by(Code{0xf0, 0x80, 0x0f, 0x06}, 0));       // two bits
  EXPECT_FALSE(bit_set_by(Code{0xf0, 0x80, 0x0f, 0x80}, 0));       // bit 7
  EXPECT_FALSE(bit_set_by(Code{0xf0, 0x80, 0x0f, 0x01}, 0));       // bit 0
  EXPECT_FALSE(bit_set_by(Code{0xf0, 0x80, 0x67, 0x04}, 0));       // lock andb
  EXPECT_FALSE(bit_set_by(Code{0xf0, 0x80, 0xcf, 0x04}, 0));       // a register
  EXPECT_FALSE(bit_set_by(Code{0xf0, 0x80, 0x0f, 0x04}, 8));       // another member
  EXPECT_FALSE(bit_set_by(Code{0xf0, 0x80, 0x4f, 0x10, 0x04}, 0)); // another member
  EXPECT_FALSE(bit_set_by(Code{0xf0, 0x80, 0x0f}, 0));             // cut off
}

} // namespace
} // namespace outguard::guest
