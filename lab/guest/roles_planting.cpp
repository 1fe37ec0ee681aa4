// A guest that lies to whoever looks for its kernel in RAM: memory full of copies that are not it.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "net.h"
#include "report.h"
#include "roles.h"
#include "text.h"

namespace lab {
namespace {

constexpr std::size_t kPage = 4096;
constexpr const char *kLie = "9.9.9-planted";

std::string at_most(int file, off_t from, std::size_t most) {
  std::string bytes(most, '\0');
  std::size_t have = 0;
  while (have < most) {
    const ssize_t got = pread(file, &bytes[have], most - have, from + static_cast<off_t>(have));
    if (got <= 0)
      break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

// The kernel's own note, which /proc/kcore repeats in its first pages: the text alone.
std::string vmcoreinfo_text(int core) {
  const std::string head = at_most(core, 0, 64 * 1024);
  const std::size_t name = head.find(std::string("VMCOREINFO\0", 11));
  if (name == head.npos || name < 12)
    fail("no VMCOREINFO in /proc/kcore");
  std::uint32_t size = 0;
  std::memcpy(&size, &head[name - 8], sizeof size);
  return head.substr(name + 12, size);
}

std::string note_page(const std::string &text) {
  const std::uint32_t header[3] = {11, static_cast<std::uint32_t>(text.size()), 0};
  std::string page(reinterpret_cast<const char *>(header), sizeof header);
  page += std::string("VMCOREINFO\0\0", 12) + text;
  page.resize(kPage);
  return page;
}

// The value of one "KEY=value" line replaced.
std::string with_value(std::string text, const std::string &key, const std::string &value) {
  const std::size_t line = text.find("\n" + key + "=");
  const std::size_t start = text.compare(0, key.size() + 1, key + "=") == 0 ? key.size() + 1
                            : line == text.npos                             ? text.npos
                                                                            : line + key.size() + 2;
  if (start == text.npos)
    return text;
  return text.replace(start, text.find('\n', start) - start, value);
}

// The section with every structure's members eight bytes further on.
std::string shifted_btf(std::string section) {
  const auto word = [&](std::size_t at) {
    std::uint32_t value = 0;
    std::memcpy(&value, &section[at], sizeof value);
    return value;
  };
  const std::size_t start = word(4) + word(8);
  const std::size_t end = start + word(12);
  for (std::size_t at = start; at + 12 <= end;) {
    const std::uint32_t kind = word(at + 4) >> 24 & 0x1f;
    const std::size_t count = word(at + 4) & 0xffff;
    at += 12;
    if (kind == 4 || kind == 5) { // struct, union
      for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t moved = word(at + 12 * i + 8) + 64;
        std::memcpy(&section[at + 12 * i + 8], &moved, sizeof moved);
      }
    }
    const bool wide = kind == 4 || kind == 5 || kind == 15 || kind == 19;
    at += wide                                    ? 12 * count
          : kind == 6 || kind == 13               ? 8 * count
          : kind == 3                             ? 12
          : kind == 1 || kind == 14 || kind == 17 ? 4
                                                  : 0;
  }
  return section;
}

std::uint64_t address_of(const std::string &symbols, const std::string &name) {
  const std::size_t at = symbols.find(" " + name + "\n");
  if (at == symbols.npos || at < 18)
    fail(name.c_str());
  return std::strtoull(symbols.substr(at - 18, 16).c_str(), nullptr, 16);
}

// The kernel's read-only data (its symbol tables, banner and BTF), with another release in it.
std::string read_only_data(int core, const std::string &release) {
  const std::string symbols = read_file("/proc/kallsyms");
  const std::uint64_t start = address_of(symbols, "__start_rodata");
  const std::uint64_t end = address_of(symbols, "__end_rodata");
  const std::string head = at_most(core, 0, 64 * 1024);
  Elf64_Ehdr elf{};
  std::memcpy(&elf, head.data(), sizeof elf);
  std::string data;
  for (unsigned i = 0; i < elf.e_phnum; ++i) {
    Elf64_Phdr part{};
    std::memcpy(&part, &head[elf.e_phoff + i * sizeof part], sizeof part);
    if (part.p_type == PT_LOAD && part.p_vaddr <= start && start - part.p_vaddr < part.p_memsz)
      data = at_most(core, static_cast<off_t>(part.p_offset + start - part.p_vaddr), end - start);
  }
  if (data.empty())
    fail("read-only data in /proc/kcore");
  for (std::size_t at = 0; (at = data.find(release, at)) != data.npos; at += release.size())
    data.replace(at, std::strlen(kLie), kLie);
  return data;
}

void plant(const std::string &bytes) {
  const std::size_t length = (bytes.size() + kPage - 1) / kPage * kPage;
  void *memory = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    fail("mmap");
  std::memcpy(memory, bytes.data(), bytes.size());
}

void plant_file(const std::string &path, const std::string &bytes) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0 || write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    fail(path.c_str());
  close(file);
}

// COPIES: of notes, each with one thing wrong and unchanged, in anonymous memory and in files of a
// tmpfs; then BTF with every member moved, read-only data and banner of another release, twice
// each.
int planter(const Arguments &arguments) {
  const long copies = parse_number(arguments.at(0));
  const int core = open("/proc/kcore", O_RDONLY);
  if (core < 0)
    fail("/proc/kcore");
  const std::string text = vmcoreinfo_text(core);
  const std::size_t line = text.find("OSRELEASE=") + 10;
  const std::string release = text.substr(line, text.find('\n', line) - line);
  std::string notes = note_page(text);
  for (const auto &[key, value] : std::vector<std::pair<std::string, std::string>>{
           {"OSRELEASE", kLie},
           {"KERNELOFFSET", "12200000"},
           {"SYMBOL(swapper_pg_dir)", "ffffffff9260a000"},
           {"NUMBER(phys_base)", "4194304"},
           {"NUMBER(pgtable_l5_enabled)", "1"},
           {"SYMBOL(kallsyms_names)", "ffffffff92000000"}})
    notes += note_page(with_value(text, key, value));
  std::string banner = "Linux version " + std::string(kLie) + " (planter@lab) #1 SMP\n";
  banner.resize(kPage);
  for (long i = 0; i < copies; ++i)
    plant(notes + banner);
  std::string file;
  for (int i = 0; i < 16; ++i)
    file += notes + banner;
  plant_file("/tmp/planted-notes", file);
  const std::string types = shifted_btf(read_file("/sys/kernel/btf/vmlinux"));
  const std::string data = read_only_data(core, release);
  for (const auto &bytes : {types, data}) {
    plant(bytes);
    plant(bytes);
  }
  plant_file("/tmp/planted-types", types);
  stay_ready();
}

} // namespace

std::vector<Role> planting_roles() {
  return {{"planter", "COPIES", planter}};
}

} // namespace lab
