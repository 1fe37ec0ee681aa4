#include <array>

#include <gtest/gtest.h>

#include "guest/symbols/vmcoreinfo.h"
#include "guest/testing/kernel_builder.h"

namespace outguard::guest {
namespace {

TEST(Vmcoreinfo, ParsesTheClaim) {
  const auto info = parse_vmcoreinfo("OSRELEASE=6.1.0-35-amd64\nBUILD-ID=00\nPAGESIZE=4096\n"
                                     "SYMBOL(swapper_pg_dir)=ffffffff9420a000\n"
                                     "NUMBER(phys_base)=-203423744\nKERNELOFFSET=11c00000\n"
                                     "NUMBER(pgtable_l5_enabled)=1\nrubbish\n=\n");
  ASSERT_TRUE(info);
  EXPECT_EQ(info->release, "6.1.0-35-amd64");
  EXPECT_EQ(info->kernel_offset, 0x11c0'0000U);
  EXPECT_EQ(info->five_levels, true);
  EXPECT_EQ(info->root()->raw(), 0x1420'a000U - 203'423'744U);
}

TEST(Vmcoreinfo, BrokenNumbersAreUnknown) {
  const auto info = parse_vmcoreinfo("OSRELEASE=x\nNUMBER(phys_base)=12z\nKERNELOFFSET=\n"
                                     "SYMBOL(swapper_pg_dir)=123456789012345678901");
  ASSERT_TRUE(info);
  EXPECT_FALSE(info->phys_base);
  EXPECT_FALSE(info->kernel_offset);
  EXPECT_FALSE(info->swapper_pg_dir);
  EXPECT_FALSE(info->root());
}

TEST(Vmcoreinfo, WithoutAReleaseThereIsNone) {
  EXPECT_FALSE(parse_vmcoreinfo(""));
  EXPECT_FALSE(parse_vmcoreinfo("PAGESIZE=4096\n"));
  EXPECT_FALSE(parse_vmcoreinfo("OSRELEASE=" + std::string(65, 'a') + "\n"));
}

TEST(Vmcoreinfo, NoteMustBeWhole) {
  KernelBuilder kernel;
  std::vector<std::uint8_t> page(4096);
  ASSERT_TRUE(kernel.memory().read(kernel.note_page(), page));
  const auto text = vmcoreinfo_note(page);
  ASSERT_TRUE(text);
  EXPECT_TRUE(text->starts_with("OSRELEASE=6.1.0-test\n"));
  for (const std::size_t length : {0U, 11U, 12U, 23U, 24U, 30U}) {
    EXPECT_FALSE(vmcoreinfo_note(std::span(page).first(length))) << length;
  }
  auto long_text = page;
  long_text[6] = 1; // 64 KiB more than there are
  EXPECT_FALSE(vmcoreinfo_note(long_text));
  auto other_name = page;
  other_name[13] = 'X';
  EXPECT_FALSE(vmcoreinfo_note(other_name));
}

TEST(Vmcoreinfo, ScanFindsNotesAtPageStartsOnlyAndStopsAtTheMost) {
  KernelRecipe recipe;
  recipe.vmcoreinfo_release.clear();
  KernelBuilder kernel(recipe);
  const auto all = [](const Vmcoreinfo &) { return true; };
  EXPECT_TRUE(scan_for_vmcoreinfo(kernel.memory(), 16, all)->empty());
  std::array<GuestPhysical, 4> planted;
  for (std::size_t i = 0; i < planted.size(); ++i) {
    planted[i] = kernel.plant_note("r" + std::to_string(i), GuestVirtual(0x1000), 0);
  }
  const auto found = scan_for_vmcoreinfo(kernel.memory(), 3, all);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 3U);
  EXPECT_EQ((*found)[2].page, planted[2]);
  EXPECT_EQ((*found)[2].claim.release, "r2");
  const auto last = scan_for_vmcoreinfo(
      kernel.memory(), 1, [](const Vmcoreinfo &claim) { return claim.release == "r3"; });
  ASSERT_EQ(last->size(), 1U);
  EXPECT_EQ((*last)[0].page, planted[3]);
}

} // namespace
} // namespace outguard::guest
