#pragma once
// Builds the smallest guest that find_kernel() takes for Linux: an image with banner, kallsyms, BTF
// and VMCOREINFO behind page tables of its own. Every part can be left out or be wrong.

#include <cstdint>
#include <string>
#include <vector>

#include "guest/memory/cpu_registers.h"
#include "guest/testing/guest_image_builder.h"
#include "guest/testing/isf_builder.h"
#include "guest/testing/kallsyms_builder.h"

namespace outguard::guest {

struct KernelRecipe {
  PagingLevels levels = PagingLevels::Four;
  GuestPhysical lowest{0x10'0000}; ///< where RAM begins
  KallsymsForm form{};
  KallsymsBuilder::Flaw kallsyms_flaw = KallsymsBuilder::Flaw::None;
  std::string banner = "Linux version 6.1.0-test (builder) #1 SMP\n";
  bool has_btf = true;
  bool btf_symbols = true; ///< __start_BTF is listed
  bool has_kallsyms = true;
  bool data_symbols = true;      ///< CONFIG_KALLSYMS_ALL
  bool own_tables_filled = true; ///< false: init_top_pgt is still empty, as early in boot
  bool own_tables_agree = true;  ///< false: init_top_pgt maps _text to another frame
  std::vector<std::uint8_t> btf; ///< empty: a small good one
  std::string vmcoreinfo_release = "6.1.0-test"; ///< empty: no VMCOREINFO
};

class KernelBuilder {
public:
  static constexpr GuestVirtual kText{0xffff'ffff'9240'0000};

  explicit KernelBuilder(const KernelRecipe &recipe = {});

  [[nodiscard]] GuestImageBuilder &guest() { return guest_; }
  [[nodiscard]] FakeMemory &memory() { return guest_.memory(); }
  /// One vCPU in the kernel, with a process's page tables loaded.
  [[nodiscard]] CpuRegisters registers() const;
  [[nodiscard]] GuestPhysical note_page() const { return note_page_; }
  /// Of its 64-bit count of timer ticks.
  [[nodiscard]] GuestPhysical jiffies() const;
  /// An ISF file of this kernel: its symbols as linked, the types of small_kernel_btf().
  [[nodiscard]] IsfBuilder isf(const std::string &banner) const;

  /// A note like the kernel's on a page of its own; returns the page.
  GuestPhysical plant_note(const std::string &release, GuestVirtual root, std::int64_t phys_base);

private:
  void map_image(GuestVirtual start, std::uint64_t length, PageRights rights);
  void build_symbols(const KernelRecipe &recipe, GuestVirtual btf);
  void build_own_tables(const KernelRecipe &recipe);
  void build_vmcoreinfo(const KernelRecipe &recipe);

  GuestImageBuilder guest_;
  PagingLevels levels_;
  GuestPhysical text_frame_;
  GuestPhysical note_page_;
};

/// task_struct, sock_common and a few more.
[[nodiscard]] std::vector<std::uint8_t> small_kernel_btf();

} // namespace outguard::guest
