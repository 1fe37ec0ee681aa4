#include "guest/testing/kernel_builder.h"

#include "guest/testing/btf_builder.h"

namespace outguard::guest {
namespace {

constexpr std::uint64_t kTextBytes = std::uint64_t{2} << 20;
constexpr GuestVirtual kReadOnly = KernelBuilder::kText.plus_wrapping(kTextBytes);
constexpr GuestVirtual kBanner = kReadOnly.plus_wrapping(0x200);
constexpr GuestVirtual kSymbols = kReadOnly.plus_wrapping(0x1000);
constexpr GuestVirtual kBtf = kReadOnly.plus_wrapping(0x10'0000);
constexpr std::uint64_t kReadOnlyBytes = 0x12'0000;
constexpr GuestVirtual kData = kReadOnly.plus_wrapping(0x20'0000);
constexpr std::uint64_t kDataBytes = 0x4000;
constexpr std::uint64_t kImageBytes = kData.raw() + kDataBytes - KernelBuilder::kText.raw();
constexpr GuestVirtual kOwnTables = kData.plus_wrapping(0x2000);
constexpr GuestVirtual kNotePointer = kData.plus_wrapping(0x100);
constexpr GuestVirtual kTextPointer = kData.plus_wrapping(0x108);
constexpr GuestVirtual kJiffies = kData.plus_wrapping(0x110);
constexpr GuestVirtual kSomeFunction = KernelBuilder::kText.plus_wrapping(0x8'0000);
constexpr std::uint64_t kImageMap = 0xffff'ffff'8000'0000; // __START_KERNEL_map

std::string hex(std::uint64_t value) {
  std::string text;
  do {
    text.insert(text.begin(), "0123456789abcdef"[value & 15]);
    value >>= 4;
  } while (value != 0);
  return text;
}

} // namespace

KernelBuilder::KernelBuilder(const KernelRecipe &recipe)
    : guest_(recipe.levels, recipe.lowest), levels_(recipe.levels),
      text_frame_(guest_.allocate_physical(kImageBytes, kTextBytes)) {
  guest_.map_page(guest_.root(), kText, text_frame_, PageSize::Large, {false, true});
  map_image(kReadOnly, kReadOnlyBytes, {false, false});
  map_image(kData, kDataBytes, {true, false});
  guest_.put_text(kBanner, recipe.banner);
  if (recipe.has_btf) {
    guest_.write(kBtf, recipe.btf.empty() ? small_kernel_btf() : recipe.btf);
  }
  if (recipe.has_kallsyms) {
    build_symbols(recipe, kBtf);
  }
  build_own_tables(recipe);
  if (!recipe.vmcoreinfo_release.empty()) {
    build_vmcoreinfo(recipe);
  }
}

/// The image is contiguous in physical memory too.
void KernelBuilder::map_image(GuestVirtual start, std::uint64_t length, PageRights rights) {
  for (std::uint64_t done = 0; done < length; done += FakeMemory::kPageBytes) {
    const GuestVirtual page = start.plus_wrapping(done);
    guest_.map_page(guest_.root(), page, text_frame_.plus_wrapping(page.raw() - kText.raw()),
                    PageSize::Small, rights);
  }
}

void KernelBuilder::build_symbols(const KernelRecipe &recipe, GuestVirtual btf) {
  KallsymsBuilder symbols;
  symbols.add('T', "_text", kText.raw());
  symbols.add_fillers(2000, kText.raw() + 0x100);
  symbols.add('T', "vfs_read", kSomeFunction.raw());
  if (recipe.data_symbols) {
    symbols.add('D', "init_top_pgt", kOwnTables.raw());
    symbols.add('A', "per_cpu_thing", 0x1f40);
    symbols.add('R', "linux_banner", kBanner.raw());
    if (recipe.has_btf && recipe.btf_symbols) {
      symbols.add('R', "__start_BTF", btf.raw());
    }
    symbols.add('D', "vmcoreinfo_note", kNotePointer.raw());
    symbols.add('D', "vmcoreinfo_data", kTextPointer.raw());
    symbols.add('D', "jiffies_64", kJiffies.raw());
  }
  guest_.write(kSymbols, symbols.build(recipe.form, kSymbols, recipe.kallsyms_flaw));
}

/// init_top_pgt is a page of the image; it gets a copy of the root's upper half.
void KernelBuilder::build_own_tables(const KernelRecipe &recipe) {
  if (!recipe.own_tables_filled) {
    return;
  }
  const GuestPhysical table = guest_.space().translate(kOwnTables).value();
  if (recipe.own_tables_agree) {
    for (std::uint64_t entry = 256; entry < 512; ++entry) {
      const auto value = memory().read<std::uint64_t>(guest_.root().plus_wrapping(entry * 8));
      memory().put(table.plus_wrapping(entry * 8), value->any_value());
    }
  } else {
    guest_.map_page(table, kText, text_frame_.plus_wrapping(kTextBytes), PageSize::Large);
  }
}

GuestPhysical KernelBuilder::plant_note(const std::string &release, GuestVirtual root,
                                        std::int64_t phys_base) {
  const std::string text =
      "OSRELEASE=" + release + "\nPAGESIZE=4096\nSYMBOL(swapper_pg_dir)=" + hex(root.raw()) +
      "\nNUMBER(phys_base)=" + std::to_string(phys_base) +
      "\nNUMBER(pgtable_l5_enabled)=" + (levels_ == PagingLevels::Five ? "1" : "0") + "\n";
  const GuestPhysical page = guest_.allocate_physical(4096, 4096);
  const std::uint32_t header[3] = {11, static_cast<std::uint32_t>(text.size()), 0};
  memory().put(page, header);
  memory().write(page.plus_wrapping(12),
                 {reinterpret_cast<const std::uint8_t *>("VMCOREINFO\0"), 11});
  memory().write(page.plus_wrapping(24),
                 {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()});
  return page;
}

void KernelBuilder::build_vmcoreinfo(const KernelRecipe &recipe) {
  note_page_ = plant_note(recipe.vmcoreinfo_release, kOwnTables,
                          static_cast<std::int64_t>(text_frame_.raw() - (kText.raw() - kImageMap)));
  const GuestVirtual note(0xffff'c900'0000'0000);
  guest_.map_page(guest_.root(), note, note_page_, PageSize::Small, {true, false});
  guest_.put_pointer(kNotePointer, note);
  guest_.put_pointer(kTextPointer, note.plus_wrapping(24));
  if (recipe.own_tables_filled && recipe.own_tables_agree) {
    build_own_tables(recipe); // again: the note's mapping is new
  }
}

GuestPhysical KernelBuilder::jiffies() const {
  return text_frame_.plus_wrapping(kJiffies.raw() - kText.raw());
}

CpuRegisters KernelBuilder::registers() const {
  CpuRegisters cpu;
  cpu.cr0 = 0x8005'0033;
  cpu.cr3 = guest_.root().raw();
  cpu.cr4 = levels_ == PagingLevels::Five ? 0x16b0 : 0x6b0;
  cpu.rip = kText.raw() + 0x1234;
  cpu.idt_base = 0xffff'fe00'0000'0000;
  cpu.long_mode = true;
  return cpu;
}

IsfBuilder KernelBuilder::isf(const std::string &banner) const {
  const auto linked = [](GuestVirtual at) {
    return at.raw() - kText.raw() + 0xffff'ffff'8100'0000;
  };
  IsfBuilder isf;
  isf.add_base("int", 4);
  isf.add_base("char", 1);
  isf.add_struct("task_struct", 64,
                 {{"pid", 0, IsfBuilder::base("int")},
                  {"tgid", 4, IsfBuilder::base("int")},
                  {"comm", 8, IsfBuilder::array(16, IsfBuilder::base("char"))}});
  isf.add_struct("sock_common", 16, {{"skc_daddr", 0, IsfBuilder::base("int")}});
  isf.add_banner(linked(kBanner), banner);
  isf.add_symbol("_text", linked(kText));
  isf.add_symbol("vfs_read", linked(kSomeFunction));
  isf.add_symbol("init_top_pgt", linked(kOwnTables));
  isf.add_symbol("vmcoreinfo_note", linked(kNotePointer));
  isf.add_symbol("vmcoreinfo_data", linked(kTextPointer));
  isf.add_symbol("per_cpu_thing", 0x1f40);
  return isf;
}

std::vector<std::uint8_t> small_kernel_btf() {
  BtfBuilder btf;
  const auto integer = btf.add_int("int", 4);
  const auto character = btf.add_int("char", 1);
  const auto comm = btf.add_array(character, 16);
  btf.add_composite(BtfKind::Struct, "task_struct", 64,
                    {{"pid", integer, 0}, {"tgid", integer, 32}, {"comm", comm, 64}});
  btf.add_composite(BtfKind::Struct, "sock_common", 16, {{"skc_daddr", integer, 0}});
  return btf.build();
}

} // namespace outguard::guest
