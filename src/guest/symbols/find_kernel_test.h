#pragma once
// What every test that finds the builder's kernel expects of it. For tests only.

#include <gtest/gtest.h>

#include "guest/symbols/kernel.h"
#include "guest/testing/kernel_builder.h"

namespace outguard::guest {

inline void expect_whole(const tl::expected<Kernel, KernelSearchFailure> &found, const char *how) {
  ASSERT_TRUE(found) << to_string(found.error().state) << " "
                     << to_string(found.error().fault.code);
  EXPECT_EQ(found->seen.release.raw(), "6.1.0-test");
  EXPECT_EQ(found->seen.banner.raw(), "Linux version 6.1.0-test (builder) #1 SMP");
  EXPECT_EQ(found->seen.located_by, how);
  EXPECT_EQ(found->seen.text_base, KernelBuilder::kText.raw());
  EXPECT_EQ(found->seen.kaslr_offset, 0x1140'0000U);
  EXPECT_EQ(found->symbols->find("_text"), KernelBuilder::kText);
  EXPECT_EQ(found->types->size_of("task_struct"), 64U);
  EXPECT_EQ(found->space.translate(KernelBuilder::kText)->raw() -
                (KernelBuilder::kText.raw() - 0xffff'ffff'8000'0000),
            found->seen.physical_base);
}

} // namespace outguard::guest
