#include "guest/memory/elf_core.h"

#include <cstddef>

#include <elf.h>

#include "guest/memory/dump_notes.h"

namespace outguard::guest {
namespace {

/// With -p QEMU writes one segment per run of pages that some process maps.
constexpr std::uint64_t kMaxSegments = 1U << 20;
/// What /proc/kcore says of vmalloc and module space: these have no one physical address.
constexpr std::uint64_t kNoPhysicalAddress = UINT64_MAX;

Opened<void> check_header(const Elf64_Ehdr &header) {
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB) {
    return problem("not a 64-bit little-endian ELF file", EI_CLASS);
  }
  if (header.e_type != ET_CORE) {
    return problem("an ELF file, but no core", offsetof(Elf64_Ehdr, e_type));
  }
  if (header.e_machine != EM_X86_64) {
    return problem("a core of another machine than x86-64", offsetof(Elf64_Ehdr, e_machine));
  }
  if (header.e_phentsize != sizeof(Elf64_Phdr)) {
    return problem("program headers of a wrong size", offsetof(Elf64_Ehdr, e_phentsize));
  }
  return {};
}

Opened<std::vector<Elf64_Phdr>> read_program_headers(const FileBytes &file,
                                                     const Elf64_Ehdr &header) {
  std::uint64_t count = header.e_phnum;
  if (count == PN_XNUM) { // the real number stands in the first section header
    const auto section = file.read_as<Elf64_Shdr>(header.e_shoff);
    if (!section) {
      return tl::unexpected(section.error());
    }
    count = section->sh_info;
  }
  if (count > kMaxSegments) {
    return problem("too many program headers", offsetof(Elf64_Ehdr, e_phnum));
  }
  std::vector<Elf64_Phdr> headers(count);
  auto done = file.read(header.e_phoff, {reinterpret_cast<std::uint8_t *>(headers.data()),
                                         headers.size() * sizeof(Elf64_Phdr)});
  return done ? Opened<std::vector<Elf64_Phdr>>(std::move(headers)) : tl::unexpected(done.error());
}

Opened<void> add_notes(const FileBytes &file, const Elf64_Phdr &header, std::uint64_t &bytes_left,
                       ElfCore &core) {
  if (header.p_filesz > bytes_left) {
    return problem("notes too long", header.p_offset);
  }
  bytes_left -= header.p_filesz;
  std::vector<std::uint8_t> notes(header.p_filesz);
  if (auto done = file.read(header.p_offset, notes); !done) {
    return done;
  }
  return parse_dump_notes(notes, header.p_offset, core.registers);
}

} // namespace

Opened<ElfCore> parse_elf_core(const FileBytes &file) {
  const auto header = file.read_as<Elf64_Ehdr>(0);
  if (!header) {
    return tl::unexpected(header.error());
  }
  if (auto done = check_header(*header); !done) {
    return tl::unexpected(done.error());
  }
  const auto program_headers = read_program_headers(file, *header);
  if (!program_headers) {
    return tl::unexpected(program_headers.error());
  }
  ElfCore core;
  std::uint64_t note_bytes_left = kMaxNoteBytes;
  std::uint64_t at = header->e_phoff;
  for (const Elf64_Phdr &each : *program_headers) {
    if (each.p_type == PT_NOTE) {
      if (auto done = add_notes(file, each, note_bytes_left, core); !done) {
        return tl::unexpected(done.error());
      }
    } else if (each.p_type == PT_LOAD && each.p_filesz != 0 && each.p_paddr != kNoPhysicalAddress) {
      if (!file.holds(each.p_offset, each.p_filesz)) {
        return problem("truncated: a segment reaches past the end of the file", at);
      }
      if (each.p_paddr > UINT64_MAX - each.p_filesz) {
        return problem("a segment wraps around the address space", at);
      }
      core.segments.push_back({each.p_paddr, each.p_filesz, each.p_offset});
    }
    at += sizeof each;
  }
  if (core.segments.empty()) {
    return problem("a core without memory", header->e_phoff);
  }
  return core;
}

} // namespace outguard::guest
