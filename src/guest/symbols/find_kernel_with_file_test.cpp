#include <gtest/gtest.h>

#include "guest/symbols/find_kernel_test.h"
#include "guest/symbols/isf_reader.h"

namespace outguard::guest {
namespace {

constexpr const char *kBannerText = "Linux version 6.1.0-test (builder) #1 SMP\n";

tl::expected<Kernel, KernelSearchFailure> find_with(KernelBuilder &kernel, const IsfBuilder &isf,
                                                    bool by_registers = true) {
  auto file = read_isf(file_of(isf.json())).value();
  const auto cpu = kernel.registers();
  const std::span<const CpuRegisters> cpus{&cpu, by_registers ? 1U : 0U};
  return find_kernel(kernel.memory(), cpus, {&file, {}, {}});
}

TEST(FindKernelWithFile, WhateverTheKernelLacks) {
  for (const bool has_btf : {true, false}) {
    for (const bool data_symbols : {true, false}) {
      for (const bool has_kallsyms : {true, false}) {
        for (const bool by_registers : {true, false}) {
          KernelRecipe recipe;
          recipe.has_btf = has_btf;
          recipe.data_symbols = data_symbols;
          recipe.has_kallsyms = has_kallsyms;
          KernelBuilder kernel(recipe);
          const auto found = find_with(kernel, kernel.isf(kBannerText), by_registers);
          expect_whole(found, by_registers ? "registers" : "ram-scan");
          EXPECT_EQ(found->seen.types_from, "isf");
          EXPECT_EQ(found->seen.symbols_from, "isf");
          EXPECT_EQ(found->types->member("task_struct", "comm")->size, 16U);
          EXPECT_EQ(found->symbols->find("per_cpu_thing"), GuestVirtual(0x1f40)) << "does not move";
        }
      }
    }
  }
}

void expect_refused(const tl::expected<Kernel, KernelSearchFailure> &found, std::string_view why) {
  ASSERT_FALSE(found) << why;
  EXPECT_EQ(found.error().state, GuestState::Unreadable);
  EXPECT_EQ(found.error().what, why);
}

TEST(FindKernelWithFile, AnotherKernelsFileIsRefused) {
  KernelBuilder kernel;
  expect_refused(
      find_with(kernel, kernel.isf("Linux version 6.1.0-test (builder) #2 SMP\n")),
      "the symbols file is of another kernel: Linux version 6.1.0-test (builder) #2 SMP");
  IsfBuilder elsewhere; // the right banner, at the wrong place
  elsewhere.add_symbol("_text", 0xffff'ffff'8100'0000);
  elsewhere.add_banner(0xffff'ffff'8100'0040, kBannerText);
  expect_refused(
      find_with(kernel, elsewhere),
      "the symbols file is of another kernel: Linux version 6.1.0-test (builder) #1 SMP");
}

TEST(FindKernelWithFile, FunctionsMustBeWhereTheKernelHasThem) {
  KernelBuilder kernel;
  IsfBuilder isf;
  const std::string json = kernel.isf(kBannerText).json();
  auto moved = json;
  const auto at = moved.find("\"vfs_read\"");
  const auto digit = moved.find("address", at) + 25; // its last but some digits
  moved[digit] = moved[digit] == '1' ? '2' : '1';
  auto file = read_isf(file_of(moved)).value();
  const auto cpu = kernel.registers();
  expect_refused(find_kernel(kernel.memory(), {&cpu, 1}, {&file, {}, {}}),
                 "the symbols file and the kernel's own symbols disagree about vfs_read");
}

TEST(FindKernelWithFile, AFileWithoutTextOrTypesIsRefused) {
  KernelBuilder kernel;
  IsfBuilder no_text;
  no_text.add_banner(0xffff'ffff'8100'0040, kBannerText);
  expect_refused(find_with(kernel, no_text), "the symbols file lacks _text");
  auto json = kernel.isf(kBannerText).json();
  json.replace(json.find("sock_common"), 4, "sack");
  auto file = read_isf(file_of(json)).value();
  const auto cpu = kernel.registers();
  expect_refused(find_kernel(kernel.memory(), {&cpu, 1}, {&file, {}, {}}),
                 "the kernel's types lack sock_common");
  EXPECT_NE(file.types, nullptr) << "a file that did not help is as it was";
}

} // namespace
} // namespace outguard::guest
