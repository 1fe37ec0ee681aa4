#include "guest/memory/dump_file_memory.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/bytes/byte_cursor.h"

namespace outguard::guest {
namespace {

/// With -p QEMU writes one segment per run of pages that some process maps.
constexpr std::uint64_t kMaxSegments = 1U << 20;
constexpr std::uint64_t kMaxNoteBytes = std::uint64_t{16} << 20; ///< 1024 CPUs take 1 MiB

/// QEMUCPUState (target/i386/arch_dump.c), version 1: positions in the note's data.
namespace cpu_state {
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kBytes = 0x1b8; // the gs base at the end may be missing in older ones
constexpr std::size_t kRip = 8 + 16 * 8;
constexpr std::size_t kSegments = kRip + 16; // cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt
constexpr std::size_t kSegmentBytes = 24;    // selector, limit, flags, padding: u32; base: u64
constexpr std::size_t kCsFlags = kSegments + 8;
constexpr std::size_t kIdtBase = kSegments + 9 * kSegmentBytes + 16;
constexpr std::size_t kCr = kSegments + 10 * kSegmentBytes;
constexpr std::uint64_t kCodeIs64Bit = 1U << 21;             // L in the descriptor
constexpr std::uint64_t kPhysicalAddressExtension = 1U << 5; // CR4.PAE
} // namespace cpu_state

std::uint64_t u64_at(std::span<const std::uint8_t> bytes, std::size_t position) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.subspan(position, sizeof value).data(), sizeof value);
  return value;
}

std::optional<CpuRegisters> parse_cpu_state(std::span<const std::uint8_t> data) {
  using namespace cpu_state;
  ByteCursor cursor(data);
  if (cursor.le32().value_or(0) != kVersion || data.size() < kBytes) {
    return std::nullopt;
  }
  CpuRegisters cpu;
  cpu.rip = u64_at(data, kRip);
  cpu.idt_base = u64_at(data, kIdtBase);
  cpu.cr0 = u64_at(data, kCr);
  cpu.cr3 = u64_at(data, kCr + 24);
  cpu.cr4 = u64_at(data, kCr + 32);
  // EFER is not in the note. 64-bit code proves long mode; a 32-bit program under a 64-bit kernel
  // has the kernel's interrupt table, above 4 GiB.
  cpu.long_mode = (u64_at(data, kCsFlags) & kCodeIs64Bit) != 0 ||
                  ((cpu.cr4 & kPhysicalAddressExtension) != 0 && cpu.idt_base >> 32 != 0);
  return cpu;
}

template <class T> T take(std::span<const std::uint8_t> bytes) {
  T value;
  std::memcpy(&value, bytes.first(sizeof value).data(), sizeof value);
  return value;
}

} // namespace

/// Parses the headers; the file is the memory's.
class DumpFileMemory::ElfCore {
public:
  explicit ElfCore(DumpFileMemory &memory) : memory_(memory) {}

  Opened<void> parse() {
    Elf64_Ehdr header;
    if (auto done = read(0, header); !done) {
      return done;
    }
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
    std::uint64_t count = header.e_phnum;
    if (count == PN_XNUM) { // the real number stands in the first section header
      Elf64_Shdr section;
      if (auto done = read(header.e_shoff, section); !done) {
        return done;
      }
      count = section.sh_info;
    }
    if (count > kMaxSegments) {
      return problem("too many program headers", offsetof(Elf64_Ehdr, e_phnum));
    }
    return parse_segments(header.e_phoff, count);
  }

private:
  template <class T> Opened<void> read(std::uint64_t offset, T &value) {
    return memory_.read_exactly(offset, {reinterpret_cast<std::uint8_t *>(&value), sizeof value});
  }

  Opened<void> parse_segments(std::uint64_t offset, std::uint64_t count) {
    std::vector<std::uint8_t> table(count * sizeof(Elf64_Phdr));
    if (auto done = memory_.read_exactly(offset, table); !done) {
      return done;
    }
    std::vector<Segment> segments;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t at = offset + i * sizeof(Elf64_Phdr);
      const auto header = take<Elf64_Phdr>(std::span(table).subspan(i * sizeof(Elf64_Phdr)));
      if (header.p_type == PT_NOTE) {
        if (auto done = parse_notes(header.p_offset, header.p_filesz); !done) {
          return done;
        }
      }
      if (header.p_type != PT_LOAD || header.p_filesz == 0) {
        continue;
      }
      if (header.p_offset > memory_.file_bytes_ ||
          header.p_filesz > memory_.file_bytes_ - header.p_offset) {
        return problem("truncated: a segment reaches past the end of the file", at);
      }
      if (header.p_paddr > UINT64_MAX - header.p_filesz) {
        return problem("a segment wraps around the address space", at);
      }
      segments.push_back({header.p_paddr, header.p_filesz, header.p_offset});
    }
    if (segments.empty()) {
      return problem("a core without memory", offset);
    }
    memory_.adopt(std::move(segments));
    return {};
  }

  Opened<void> parse_notes(std::uint64_t offset, std::uint64_t length) {
    if (length > note_bytes_left_) {
      return problem("notes too long", offset);
    }
    note_bytes_left_ -= length;
    std::vector<std::uint8_t> bytes(length);
    if (auto done = memory_.read_exactly(offset, bytes); !done) {
      return done;
    }
    const auto aligned = [](std::size_t size) { return (size + 3) & ~std::size_t{3}; };
    ByteCursor cursor(bytes);
    while (cursor.remaining() >= sizeof(Elf64_Nhdr)) {
      const std::uint64_t at = offset + cursor.position();
      const auto header = take<Elf64_Nhdr>(*cursor.take(sizeof(Elf64_Nhdr)));
      const auto name = cursor.take(aligned(header.n_namesz));
      const auto data = cursor.take(header.n_descsz);
      if (!name || !data) {
        return problem("a note reaches past the end of the notes", at);
      }
      static_cast<void>(
          cursor.skip(aligned(header.n_descsz) - header.n_descsz)); // absent at the end
      if (header.n_namesz != 5 || std::memcmp(name->data(), "QEMU", 5) != 0 ||
          memory_.registers_.size() >= kMaxCpus) {
        continue;
      }
      if (const auto cpu = parse_cpu_state(*data)) {
        memory_.registers_.push_back(*cpu);
      }
    }
    return {};
  }

  DumpFileMemory &memory_;
  std::uint64_t note_bytes_left_ = kMaxNoteBytes;
};

Opened<std::unique_ptr<DumpFileMemory>> DumpFileMemory::open(Fd file) {
  std::unique_ptr<DumpFileMemory> memory(new DumpFileMemory(std::move(file)));
  struct stat status {};
  if (fstat(memory->file_.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return problem("not a regular file");
  }
  memory->file_bytes_ = static_cast<std::uint64_t>(status.st_size);
  std::array<std::uint8_t, 8> magic{};
  if (auto done = memory->read_exactly(0, magic); !done) {
    return problem("too short for a memory image", memory->file_bytes_);
  }
  const auto starts_with = [&magic](std::string_view text) {
    return std::memcmp(magic.data(), text.data(), text.size()) == 0;
  };
  if (starts_with("KDUMP   ") || starts_with("DISKDUMP")) {
    return problem("a compressed kdump; give an ELF core or a raw image");
  }
  if (starts_with("EMiL")) {
    return problem("a LiME image; give an ELF core or a raw image");
  }
  if (!starts_with("\177ELF")) {
    memory->adopt({{0, memory->file_bytes_, 0}});
    return memory;
  }
  if (auto done = ElfCore(*memory).parse(); !done) {
    return tl::unexpected(done.error());
  }
  return memory;
}

Opened<void> DumpFileMemory::read_exactly(std::uint64_t offset, std::span<std::uint8_t> out) const {
  if (offset > file_bytes_ || out.size() > file_bytes_ - offset) {
    return problem("truncated: the file ends before this", offset);
  }
  while (!out.empty()) {
    const ssize_t count = pread(file_.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return problem("the file cannot be read", offset);
    }
    out = out.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

/// Sorts, and cuts overlaps off: with -p one physical page stands once for every process that maps
/// it, always at the same place in the file.
void DumpFileMemory::adopt(std::vector<Segment> segments) {
  std::sort(segments.begin(), segments.end(),
            [](const Segment &a, const Segment &b) { return a.guest_start < b.guest_start; });
  std::uint64_t end = 0;
  for (Segment segment : segments) {
    if (!segments_.empty() && segment.guest_start < end) {
      const std::uint64_t seen = end - segment.guest_start;
      if (seen >= segment.length) {
        continue;
      }
      segment = {end, segment.length - seen, segment.file_offset + seen};
    }
    end = segment.guest_start + segment.length;
    segments_.push_back(segment);
    if (!ranges_.empty() &&
        ranges_.back().start.raw() + ranges_.back().length == segment.guest_start) {
      ranges_.back().length += segment.length;
    } else {
      ranges_.push_back({GuestPhysical(segment.guest_start), segment.length});
    }
  }
}

Result<std::size_t> DumpFileMemory::read_some(GuestPhysical address, std::span<std::uint8_t> out) {
  const auto behind = std::upper_bound(
      segments_.begin(), segments_.end(), address.raw(),
      [](auto value, const Segment &segment) { return value < segment.guest_start; });
  if (behind == segments_.begin()) {
    return fault(FaultCode::Unmapped, address.raw());
  }
  const Segment &segment = *std::prev(behind);
  const std::uint64_t inside = address.raw() - segment.guest_start;
  if (inside >= segment.length) {
    return fault(FaultCode::Unmapped, address.raw());
  }
  const std::size_t want = std::min<std::uint64_t>(out.size(), segment.length - inside);
  if (!read_exactly(segment.file_offset + inside, out.first(want))) {
    return fault(FaultCode::SourceGone, address.raw());
  }
  return want;
}

} // namespace outguard::guest
