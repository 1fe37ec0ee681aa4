#include <algorithm>
#include <string_view>

#include <gtest/gtest.h>
#include <unistd.h>

#include "guest/memory/dump_file_memory.h"
#include "guest/testing/elf_core_builder.h"

namespace outguard::guest {
namespace {

std::vector<std::uint8_t> page_of(std::uint8_t value, std::size_t length = 4096) {
  std::vector<std::uint8_t> page;
  page.assign(length, value);
  return page;
}

std::uint8_t byte_at(MemoryReader &memory, std::uint64_t address) {
  const auto read = memory.read<std::uint8_t>(GuestPhysical(address));
  return read ? read->any_value() : 0;
}

void expect_refused(const std::vector<std::uint8_t> &bytes, std::string_view reason) {
  const auto opened = DumpFileMemory::open(file_of(bytes));
  ASSERT_FALSE(opened) << reason;
  EXPECT_NE(std::string_view(opened.error().reason).find(reason), std::string_view::npos)
      << opened.error().reason;
}

TEST(DumpFileMemory, RawFileIsPhysicalMemory) {
  auto bytes = page_of(1);
  bytes[100] = 42;
  const auto memory = DumpFileMemory::open(file_of(bytes));
  ASSERT_TRUE(memory);
  EXPECT_EQ(byte_at(**memory, 100), 42);
  EXPECT_TRUE((*memory)->registers().empty());
  ASSERT_EQ((*memory)->ranges().size(), 1U);
  EXPECT_EQ((*memory)->ranges()[0].length, 4096U);
  EXPECT_EQ((*memory)->read<std::uint8_t>(GuestPhysical(4096)).error().code, FaultCode::Unmapped);
}

TEST(DumpFileMemory, CoreSegmentsGoToTheirPhysicalAddresses) {
  ElfCoreBuilder core;
  core.add_memory(0x10'0000, page_of(2));
  core.add_memory(0, page_of(1, 0x1800));
  core.add_memory(0x10'1000, page_of(3)); // continues the first
  const auto memory = DumpFileMemory::open(file_of(core.build()));
  ASSERT_TRUE(memory) << memory.error().reason;
  EXPECT_EQ(byte_at(**memory, 0x17ff), 1);
  EXPECT_FALSE((*memory)->read<std::uint8_t>(GuestPhysical(0x1800)));
  EXPECT_EQ((*memory)->read<std::uint64_t>(GuestPhysical(0x10'0ffc))->any_value(),
            0x0303'0303'0202'0202U);
  ASSERT_EQ((*memory)->ranges().size(), 2U);
  EXPECT_EQ((*memory)->ranges()[1].start.raw(), 0x10'0000U);
  EXPECT_EQ((*memory)->ranges()[1].length, 0x2000U);
}

TEST(DumpFileMemory, PagesListedTwiceStandOnce) {
  ElfCoreBuilder core; // -p: the same physical page once for each mapping
  auto bytes = page_of(1, 0x3000);
  bytes[0x2000] = 9;
  core.add_memory(0x4000, bytes);
  core.add_alias(0x5000, 0, 0x1000, 0x1000);
  core.add_alias(0x6000, 0, 0x2000, 0x1000);
  auto overlapping = page_of(5, 0x1000);
  std::fill(overlapping.begin() + 0x800, overlapping.end(), std::uint8_t{7});
  core.add_memory(0x6800, overlapping); // only its end counts
  const auto memory = DumpFileMemory::open(file_of(core.build()));
  ASSERT_TRUE(memory);
  EXPECT_EQ(byte_at(**memory, 0x6000), 9);
  EXPECT_EQ(byte_at(**memory, 0x6fff), 1);
  EXPECT_EQ(byte_at(**memory, 0x7000), 7);
  ASSERT_EQ((*memory)->ranges().size(), 1U);
  EXPECT_EQ((*memory)->ranges()[0].length, 0x3800U);
}

TEST(DumpFileMemory, ReadsTheRegistersInItsNotes) {
  ElfCoreBuilder core;
  core.add_memory(0, page_of(0));
  core.add_cpu(0x800'a000, 0x16b0, 0xffff'fe00'0000'0000);
  core.add_cpu(0x28d'c000, 0x6a0, 0);
  const auto memory = DumpFileMemory::open(file_of(core.build()));
  ASSERT_TRUE(memory);
  ASSERT_EQ((*memory)->registers().size(), 2U);
  const CpuRegisters &cpu = (*memory)->registers()[0];
  EXPECT_EQ(cpu.cr3, 0x800'a000U);
  EXPECT_EQ(cpu.cr0, 0x8005'0033U);
  EXPECT_TRUE(cpu.five_levels());
  EXPECT_TRUE(cpu.long_mode);
  EXPECT_EQ(cpu.idt_base, 0xffff'fe00'0000'0000U);
  EXPECT_EQ(cpu.rip, 0xffff'ffff'8100'1234U);
  EXPECT_FALSE((*memory)->registers()[1].five_levels());
}

TEST(DumpFileMemory, EveryTruncationIsAnErrorWithItsPlace) {
  ElfCoreBuilder core;
  core.add_memory(0, page_of(1));
  core.add_cpu(0x1000, 0, 0);
  const auto whole = core.build();
  for (std::size_t length = 16; length < whole.size(); length += 7) {
    const auto opened = DumpFileMemory::open(file_of(std::span(whole).first(length)));
    ASSERT_FALSE(opened) << length;
    EXPECT_NE(std::string_view(opened.error().reason).find("truncated"), std::string_view::npos);
  }
  expect_refused({}, "too short");
}

TEST(DumpFileMemory, RefusesOtherFiles) {
  ElfCoreBuilder core;
  core.add_memory(0, page_of(1));
  auto bad = core;
  bad.header.e_ident[EI_CLASS] = ELFCLASS32;
  expect_refused(bad.build(), "64-bit");
  bad = core;
  bad.header.e_type = ET_EXEC;
  expect_refused(bad.build(), "no core");
  bad = core;
  bad.header.e_machine = EM_AARCH64;
  expect_refused(bad.build(), "another machine");
  bad = core;
  bad.header.e_phentsize = 32;
  expect_refused(bad.build(), "wrong size");
  bad = core;
  bad.header.e_phnum = PN_XNUM;
  bad.header.e_shoff = ~std::uint64_t{15};
  expect_refused(bad.build(), "truncated");
  bad = core;
  bad.header.e_phoff = ~std::uint64_t{0};
  expect_refused(bad.build(), "truncated");
  bad = core;
  bad.segments[0].p_paddr = ~std::uint64_t{100};
  expect_refused(bad.build(), "wraps");
  bad = core;
  bad.segments[0].p_filesz = ~std::uint64_t{0};
  expect_refused(bad.build(), "truncated");
  expect_refused(ElfCoreBuilder().build(), "without memory");
}

TEST(DumpFileMemory, RefusesFilesThatAreTakenForMemoryByNameAndSaysWhatToDo) {
  using namespace std::string_view_literals;
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"LibvirtQemudSave"sv, "virsh dump --memory-only"},
      {"LibvirtQemudPart"sv, "virsh dump --memory-only"},
      {"QEVM\0\0\0\3"sv, "virsh dump"},
      {"AVML\2\0\0\0"sv, "avml-convert"},
      {"DISKDUMP"sv, "diskdump"},
      {"PAGEDU64"sv, "Windows"},
      {"QFI\xfb\0\0\0\3"sv, "disk image"},
      {"\x28\xb5\x2f\xfd"sv, "zstd -d"},
      {"\x1f\x8b\x08"sv, "gzip -d"},
      {"\xfd\x37zXZ\0"sv, "xz -d"},
      {"\x89LZO\0"sv, "lzop -d"},
      {"BZh9"sv, "bzip2 -d"},
  };
  for (const auto &[magic, words] : cases) {
    auto bytes = page_of(0);
    std::copy(magic.begin(), magic.end(), bytes.begin());
    expect_refused(bytes, words);
  }
}

TEST(DumpFileMemory, RefusesTheCoreOfAProcess) {
  ElfCoreBuilder core;
  core.add_memory(0, page_of(1));
  const auto put = [&core](std::uint32_t value) {
    const auto *raw = reinterpret_cast<const std::uint8_t *>(&value);
    core.notes.insert(core.notes.end(), raw, raw + sizeof value);
  };
  put(5); // name
  put(0); // data
  put(NT_AUXV);
  core.notes.insert(core.notes.end(), {'C', 'O', 'R', 'E', 0, 0, 0, 0});
  expect_refused(core.build(), "core of a process");
}

TEST(DumpFileMemory, SegmentsWithoutPhysicalAddressAreLeftOut) {
  ElfCoreBuilder core; // as /proc/kcore lists vmalloc space
  core.add_memory(UINT64_MAX, page_of(9));
  core.segments.back().p_filesz = std::uint64_t{1} << 45;
  core.add_memory(0x3000, page_of(3));
  const auto memory = DumpFileMemory::open(file_of(core.build()));
  ASSERT_TRUE(memory) << memory.error().reason;
  ASSERT_EQ((*memory)->ranges().size(), 1U);
  EXPECT_EQ(byte_at(**memory, 0x3000), 3);
}

TEST(DumpFileMemory, ManySegmentsAreCountedInTheSectionHeader) {
  ElfCoreBuilder core;
  core.add_memory(0x5000, page_of(5));
  core.header.e_phnum = PN_XNUM;
  auto bytes = core.build();
  Elf64_Shdr section{};
  section.sh_info = 1;
  core.header.e_shoff = bytes.size();
  bytes = core.build();
  const auto *raw = reinterpret_cast<const std::uint8_t *>(&section);
  bytes.insert(bytes.end(), raw, raw + sizeof section);
  const auto memory = DumpFileMemory::open(file_of(bytes));
  ASSERT_TRUE(memory) << memory.error().reason;
  EXPECT_EQ(byte_at(**memory, 0x5000), 5);
}

TEST(DumpFileMemory, RefusesBadNotes) {
  ElfCoreBuilder core;
  core.add_memory(0, page_of(1));
  core.add_cpu(0x1000, 0, 0);
  core.notes[4] = 0xff; // data longer than there is
  core.notes[5] = 0xff;
  expect_refused(core.build(), "note");
}

TEST(DumpFileMemory, RefusesNotesWithoutEnd) {
  ElfCoreBuilder core; // the same megabyte of harmless notes, again and again
  std::vector<std::uint8_t> notes(1U << 20);
  core.add_memory(0, notes);
  for (int i = 0; i < 100; ++i) {
    core.add_alias(0, 0, 0, 1U << 20);
    core.segments.back().p_type = PT_NOTE;
  }
  expect_refused(core.build(), "notes too long");
}

TEST(DumpFileMemory, AFileThatShrinksIsGone) {
  Fd file = file_of(page_of(1, 8192));
  const int raw = file.get();
  const auto memory = DumpFileMemory::open(std::move(file));
  ASSERT_TRUE(memory);
  ASSERT_EQ(ftruncate(raw, 4096), 0);
  EXPECT_EQ((*memory)->read<std::uint8_t>(GuestPhysical(5000)).error().code, FaultCode::SourceGone);
  EXPECT_TRUE((*memory)->read<std::uint8_t>(GuestPhysical(4000)));
}

} // namespace
} // namespace outguard::guest
