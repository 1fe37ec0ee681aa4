#include "guest/testing/elf_core_builder.h"

#include <algorithm>
#include <cstring>

#include <sys/mman.h>
#include <unistd.h>

namespace outguard::guest {
namespace {

template <class T> void append(std::vector<std::uint8_t> &bytes, const T &value) {
  const auto *raw = reinterpret_cast<const std::uint8_t *>(&value);
  bytes.insert(bytes.end(), raw, raw + sizeof value);
}

} // namespace

ElfCoreBuilder::ElfCoreBuilder() {
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_CORE;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_phoff = sizeof(Elf64_Ehdr);
  header.e_phentsize = sizeof(Elf64_Phdr);
}

void ElfCoreBuilder::add_memory(std::uint64_t guest_physical, std::vector<std::uint8_t> bytes) {
  Elf64_Phdr segment{};
  segment.p_type = PT_LOAD;
  segment.p_paddr = guest_physical;
  segment.p_filesz = segment.p_memsz = bytes.size();
  segments.push_back(segment);
  bytes_.push_back(std::move(bytes));
  aliases_.push_back({});
}

void ElfCoreBuilder::add_alias(std::uint64_t guest_physical, std::size_t segment,
                               std::uint64_t offset, std::uint64_t length) {
  add_memory(guest_physical, {});
  segments.back().p_filesz = segments.back().p_memsz = length;
  aliases_.back() = {segment + 1, offset};
}

void ElfCoreBuilder::add_cpu(std::uint64_t cr3, std::uint64_t cr4, std::uint64_t idt_base) {
  append(notes, Elf64_Nhdr{5, 0x1b8, 0});
  notes.insert(notes.end(), {'Q', 'E', 'M', 'U', 0, 0, 0, 0});
  std::vector<std::uint8_t> state(0x1b8);
  const auto put = [&state](std::size_t at, auto value) {
    std::memcpy(&state[at], &value, sizeof value);
  };
  put(0, std::uint32_t{1});
  put(4, std::uint32_t{0x1b8});
  put(136, std::uint64_t{0xffff'ffff'8100'1234}); // rip
  put(160, std::uint32_t{0x00af'9b00});           // cs flags, with L
  put(384, idt_base);
  put(392, std::uint64_t{0x8005'0033}); // cr0
  put(416, cr3);
  put(424, cr4);
  notes.insert(notes.end(), state.begin(), state.end());
}

std::vector<std::uint8_t> ElfCoreBuilder::build() const {
  auto headers = segments;
  if (!notes.empty()) {
    Elf64_Phdr note{};
    note.p_type = PT_NOTE;
    note.p_filesz = note.p_memsz = notes.size();
    headers.insert(headers.begin(), note);
  }
  auto file_header = header;
  if (file_header.e_phnum == 0) {
    file_header.e_phnum = static_cast<Elf64_Half>(headers.size());
  }
  std::uint64_t offset = sizeof(Elf64_Ehdr) + headers.size() * sizeof(Elf64_Phdr);
  std::vector<std::uint8_t> content = notes;
  if (!notes.empty()) {
    headers.front().p_offset = offset;
  }
  const std::size_t first = headers.size() - segments.size();
  for (std::size_t i = 0; i < segments.size(); ++i) {
    Elf64_Phdr &segment = headers[first + i];
    if (segment.p_offset != 0) {
      continue;
    }
    if (aliases_[i].segment != 0) {
      segment.p_offset = headers[first + aliases_[i].segment - 1].p_offset + aliases_[i].offset;
      continue;
    }
    segment.p_offset = offset + content.size();
    content.insert(content.end(), bytes_[i].begin(), bytes_[i].end());
  }
  std::vector<std::uint8_t> file;
  append(file, file_header);
  for (const Elf64_Phdr &each : headers) {
    append(file, each);
  }
  file.insert(file.end(), content.begin(), content.end());
  return file;
}

Fd file_of(std::span<const std::uint8_t> bytes) {
  Fd file(memfd_create("test", MFD_CLOEXEC));
  while (!bytes.empty()) {
    const ssize_t count = write(file.get(), bytes.data(), bytes.size());
    if (count <= 0) {
      return {};
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return file;
}

} // namespace outguard::guest
