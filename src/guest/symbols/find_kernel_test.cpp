#include "guest/symbols/find_kernel_test.h"

#include <chrono>
#include <vector>

#include <gtest/gtest.h>

#include "guest/testing/btf_builder.h"

namespace outguard::guest {
namespace {

tl::expected<Kernel, KernelSearchFailure> find(KernelBuilder &kernel) {
  const auto cpu = kernel.registers();
  return find_kernel(kernel.memory(), {&cpu, 1});
}

TEST(FindKernel, ByRegisters) {
  for (const auto levels : {PagingLevels::Four, PagingLevels::Five}) {
    for (const KallsymsForm &form : kallsyms_forms()) {
      KernelRecipe recipe;
      recipe.levels = levels;
      recipe.form = form;
      if (form.addresses != KallsymsForm::Addresses::PerCpuAbsolute) {
        continue; // the recipe has a per-CPU symbol near 0; kallsyms_table_test has these forms
      }
      KernelBuilder kernel(recipe);
      const auto found = find(kernel);
      expect_whole(found, "registers");
      EXPECT_EQ(found->seen.paging_levels, static_cast<int>(levels));
    }
  }
}

TEST(FindKernel, FarBeyondOneTebibyte) {
  for (const std::uint64_t lowest : {std::uint64_t{1} << 40, std::uint64_t{5} << 42,
                                     (std::uint64_t{1} << 52) - (std::uint64_t{1} << 30)}) {
    for (const auto levels : {PagingLevels::Four, PagingLevels::Five}) {
      KernelRecipe recipe;
      recipe.levels = levels;
      recipe.lowest = GuestPhysical(lowest);
      KernelBuilder kernel(recipe);
      expect_whole(find(kernel), "registers");
      expect_whole(find_kernel(kernel.memory(), {}), "ram-scan");
    }
  }
}

TEST(FindKernel, ByRegistersReadsOnlyTheImage) {
  KernelBuilder kernel;
  kernel.memory().map(GuestPhysical(0x1'0000'0000), 64 << 20);
  kernel.memory().clear_calls();
  ASSERT_TRUE(find(kernel));
  for (const auto &call : kernel.memory().calls()) {
    EXPECT_LT(call.address.raw(), 0x1'0000'0000U);
  }
}

TEST(FindKernel, UsesTheKernelsOwnTables) {
  KernelBuilder kernel;
  const auto found = find(kernel);
  ASSERT_TRUE(found);
  EXPECT_NE(found->space.root(), kernel.guest().root());
}

TEST(FindKernel, InUserModeUnderPageTableIsolation) {
  KernelBuilder kernel;
  // The user's root stands behind the kernel's and maps one page of entry code.
  auto &guest = kernel.guest();
  const GuestPhysical pair = guest.allocate_physical(8192, 8192);
  for (std::uint64_t entry = 0; entry < 512; ++entry) {
    const auto value = guest.memory().read<std::uint64_t>(guest.root().plus_wrapping(entry * 8));
    guest.memory().put(pair.plus_wrapping(entry * 8), value->any_value());
  }
  guest.map_page(pair.plus_wrapping(4096), KernelBuilder::kText.plus_wrapping(0x4000),
                 guest.allocate_physical(4096, 4096));
  auto cpu = kernel.registers();
  cpu.cr3 = pair.raw() | 0x1000 | 0x803; // and a PCID
  cpu.rip = 0x40'1000;
  expect_whole(find_kernel(kernel.memory(), {&cpu, 1}), "registers");
}

TEST(FindKernel, OneGoodCpuIsEnough) {
  KernelBuilder kernel;
  std::vector<CpuRegisters> cpus(3);
  cpus[1] = kernel.registers();
  cpus[1].cr3 = 0xdead'0000;
  cpus[2] = kernel.registers();
  expect_whole(find_kernel(kernel.memory(), cpus), "registers");
}

TEST(FindKernel, BeforeReadOnlyDataIsProtected) {
  KernelBuilder kernel;
  // Everything writable, as until late in boot.
  auto &guest = kernel.guest();
  const auto space = guest.space();
  for (std::uint64_t at = 0; at < 0x12'0000; at += 4096) {
    const auto page = KernelBuilder::kText.plus_wrapping((2 << 20) + at);
    guest.map_page(guest.root(), page, space.translate(page).value(), PageSize::Small,
                   {true, false});
  }
  expect_whole(find(kernel), "registers");
}

TEST(FindKernel, FilesAreWantedByName) {
  struct Case {
    const char *why;
    void (*change)(KernelRecipe &);
  };
  const Case cases[] = {
      {"this kernel lists no data symbols (no KALLSYMS_ALL)",
       [](KernelRecipe &recipe) { recipe.data_symbols = false; }},
      {"this kernel has no BTF", [](KernelRecipe &recipe) { recipe.has_btf = false; }},
      {"this kernel has no kallsyms", [](KernelRecipe &recipe) { recipe.has_kallsyms = false; }},
  };
  for (const auto &[why, change] : cases) {
    KernelRecipe recipe;
    change(recipe);
    KernelBuilder kernel(recipe);
    const auto found = find(kernel);
    ASSERT_FALSE(found) << why;
    EXPECT_EQ(found.error().state, GuestState::Unreadable) << why;
    EXPECT_EQ(found.error().what, why);
    EXPECT_TRUE(found.error().wants_file) << why;
    EXPECT_EQ(found.error().release.raw(), "6.1.0-test") << why;
  }
}

TEST(FindKernel, FindsTypesByTheirMagicToo) {
  KernelRecipe recipe;
  recipe.btf_symbols = false;
  KernelBuilder kernel(recipe);
  expect_whole(find(kernel), "registers");
}

TEST(FindKernel, StatesOfGuestsWithoutLinux) {
  FakeMemory empty;
  empty.map(GuestPhysical(0), 1 << 20);
  CpuRegisters firmware; // real mode
  EXPECT_EQ(find_kernel(empty, {&firmware, 1}).error().state, GuestState::Booting);

  firmware.long_mode = true; // UEFI: 64-bit, identity mapped
  firmware.cr0 = 0x8000'0011;
  firmware.idt_base = 0x7f00'0000;
  EXPECT_EQ(find_kernel(empty, {&firmware, 1}).error().state, GuestState::Booting);

  CpuRegisters windows = firmware;
  windows.idt_base = 0xffff'f800'1234'5000;
  EXPECT_EQ(find_kernel(empty, {&windows, 1}).error().state, GuestState::NotLinux);
}

TEST(FindKernel, AnImageWithoutTablesIsNotLinux) {
  KernelRecipe recipe;
  recipe.kallsyms_flaw = KallsymsBuilder::Flaw::DigitMissing;
  recipe.banner = "something else";
  KernelBuilder kernel(recipe);
  EXPECT_EQ(find(kernel).error().state, GuestState::NotLinux);
  EXPECT_FALSE(find(kernel).error().wants_file);
}

TEST(FindKernel, EmptyOwnTablesMeanBooting) {
  KernelRecipe recipe;
  recipe.own_tables_filled = false;
  recipe.vmcoreinfo_release.clear();
  KernelBuilder kernel(recipe);
  EXPECT_EQ(find(kernel).error().state, GuestState::Booting);
}

TEST(FindKernel, OwnTablesThatLeadElsewhereAreRefused) {
  KernelRecipe recipe;
  recipe.own_tables_agree = false;
  KernelBuilder kernel(recipe);
  const auto found = find(kernel);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().state, GuestState::Unreadable);
  EXPECT_EQ(found.error().fault.code, FaultCode::Malformed);
}

TEST(FindKernel, VmcoreinfoThatDisagreesIsRefusedAndNoneIsFine) {
  KernelRecipe recipe;
  recipe.vmcoreinfo_release = "5.10.0-other";
  KernelBuilder disagreeing(recipe);
  EXPECT_EQ(find(disagreeing).error().state, GuestState::Unreadable);
  recipe.vmcoreinfo_release.clear();
  KernelBuilder without(recipe);
  expect_whole(find(without), "registers");
}

TEST(FindKernel, TypesMustBeThisKernels) {
  KernelRecipe recipe;
  BtfBuilder btf;
  btf.add_composite(BtfKind::Struct, "something", 8, {});
  recipe.btf = btf.build();
  KernelBuilder kernel(recipe);
  EXPECT_EQ(find(kernel).error().state, GuestState::Unreadable);
  EXPECT_EQ(find(kernel).error().fault.code, FaultCode::NotFound);
}

TEST(FindKernel, MemoryThatEndsIsUnreadableAtEveryPoint) {
  KernelBuilder whole;
  whole.memory().clear_calls();
  ASSERT_TRUE(find(whole));
  const std::size_t calls = whole.memory().calls().size();
  for (std::size_t after = 0; after < calls; after += 1 + calls / 200) {
    whole.memory().fail_after(after);
    const auto found = find(whole);
    ASSERT_FALSE(found) << after;
    EXPECT_EQ(found.error().state, GuestState::Unreadable) << after;
    EXPECT_EQ(found.error().fault.code, FaultCode::SourceGone) << after;
  }
}

TEST(FindKernel, ByScan) {
  for (const auto levels : {PagingLevels::Four, PagingLevels::Five}) {
    KernelRecipe recipe;
    recipe.levels = levels;
    KernelBuilder kernel(recipe);
    expect_whole(find_kernel(kernel.memory(), {}), "ram-scan");
  }
}

TEST(FindKernel, ScanPassesOverStaleAndPlantedNotes) {
  KernelBuilder kernel;
  const GuestPhysical genuine = kernel.note_page();
  // The same claim, copied: leads to the kernel, which does not point at it.
  std::vector<std::uint8_t> copy(4096);
  ASSERT_TRUE(kernel.memory().read(genuine, copy));
  kernel.memory().write(GuestPhysical(0x1000), copy);
  // A claim of an earlier boot: leads nowhere.
  const auto stale =
      kernel.plant_note("5.10.0-old", GuestVirtual(0xffff'ffff'8140'0000), 0x100'0000);
  std::vector<std::uint8_t> old(4096);
  ASSERT_TRUE(kernel.memory().read(stale, old));
  kernel.memory().write(GuestPhysical(0x2000), old);
  expect_whole(find_kernel(kernel.memory(), {}), "ram-scan");

  kernel.memory().unmap(genuine);
  EXPECT_FALSE(find_kernel(kernel.memory(), {})) << "copies alone do not win";
}

TEST(FindKernel, NoNumberOfPlantedNotesHidesTheKernel) {
  KernelBuilder kernel;
  std::vector<std::uint8_t> genuine(4096);
  ASSERT_TRUE(kernel.memory().read(kernel.note_page(), genuine));
  const auto stale =
      kernel.plant_note("5.10.0-old", GuestVirtual(0xffff'ffff'8140'0000), 0x100'0000);
  std::vector<std::uint8_t> old(4096);
  ASSERT_TRUE(kernel.memory().read(stale, old));
  for (std::uint64_t page = 1; page <= 100; ++page) { // all lower than the kernel's own
    ASSERT_LT(page * 0x1000, kernel.guest().root().raw());
    kernel.memory().write(GuestPhysical(page * 0x1000), page % 10 == 0 ? genuine : old);
  }
  expect_whole(find_kernel(kernel.memory(), {}), "ram-scan");
}

/// A guest after a kexec: the kernel before lies in RAM whole, and below.
struct TwoKernels {
  TwoKernels() {
    for (const PhysicalRange &range : newer.memory().ranges()) {
      std::vector<std::uint8_t> bytes(range.length);
      EXPECT_TRUE(newer.memory().read(range.start, bytes));
      memory().write(range.start, bytes);
    }
    memory().put(older.jiffies(), kBeat);
    memory().put(newer.jiffies(), kBeat);
  }
  FakeMemory &memory() { return older.memory(); }
  bool takes_newer(const SearchHelp &help) {
    const auto found = find_kernel(memory(), {}, help);
    EXPECT_TRUE(found);
    return found && found->seen.physical_base == find(newer)->seen.physical_base;
  }

  static constexpr std::uint64_t kBeat = 0x1'0000'0000;
  KernelBuilder older;
  KernelBuilder newer{[] {
    KernelRecipe recipe;
    recipe.lowest = GuestPhysical(0x1000'0000);
    return recipe;
  }()};
};

TEST(FindKernel, OfSeveralInRamTheOneWhoseClockMoves) {
  TwoKernels guest;
  EXPECT_FALSE(guest.takes_newer({})) << "of a dump the first";
  int waits = 0;
  SearchHelp help;
  help.wait = [&](std::chrono::milliseconds) { ++waits; };
  EXPECT_FALSE(guest.takes_newer(help)) << "neither moves: a guest that is paused";
  EXPECT_LE(waits, 40);
  waits = 0;
  help.wait = [&](std::chrono::milliseconds) { // idle, it ticks late; the old one's memory is used
    guest.memory().put(guest.newer.jiffies(), TwoKernels::kBeat + (++waits > 20 ? 250U : 0U));
    guest.memory().put(guest.older.jiffies(), 0xffff'8880'0000'0000 + static_cast<unsigned>(waits));
  };
  EXPECT_TRUE(guest.takes_newer(help));
  EXPECT_EQ(waits, 21);
  help.wait = [&](std::chrono::milliseconds) {
    guest.memory().put(guest.older.jiffies(), TwoKernels::kBeat + 12);
    guest.memory().put(guest.newer.jiffies(), TwoKernels::kBeat - 12);
  };
  guest.memory().put(guest.older.jiffies(), TwoKernels::kBeat);
  guest.memory().put(guest.newer.jiffies(), TwoKernels::kBeat);
  EXPECT_FALSE(guest.takes_newer(help));
}

TEST(FindKernel, NobodyWaitsForTheOnlyKernel) {
  KernelBuilder kernel;
  SearchHelp help;
  help.wait = [](std::chrono::milliseconds) { FAIL(); };
  EXPECT_TRUE(find_kernel(kernel.memory(), {}, help));
}

TEST(FindKernel, NoScanWhileCpusRunSomethingElse) {
  KernelBuilder kernel; // its kernel lies in RAM, and the guest is in its firmware again
  const CpuRegisters firmware;
  EXPECT_EQ(find_kernel(kernel.memory(), {&firmware, 1}).error().state, GuestState::Booting);
}

} // namespace
} // namespace outguard::guest
