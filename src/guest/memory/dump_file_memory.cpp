#include "guest/memory/dump_file_memory.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "guest/memory/elf_core.h"
#include "guest/memory/flattened_file.h"
#include "guest/memory/kdump_memory.h"
#include "guest/memory/lime_image.h"
#include "guest/memory/segmented_dump.h"

namespace outguard::guest {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kMagicBytes = 16;

/// Files that users take for memory images, and what to do instead.
struct Refusal {
  std::string_view magic;
  const char *reason;
};
constexpr Refusal kRefused[] = {
    {"LibvirtQemudSave"sv, "a libvirt save image, no memory dump: use virsh dump --memory-only"},
    {"LibvirtQemudPart"sv, "an unfinished libvirt save image: use virsh dump --memory-only"},
    {"QEVM"sv, "a QEMU migration stream, as virsh dump writes it without --memory-only: add that"},
    {"DISKDUMP"sv, "a diskdump of Linux 2.4: only its successor, KDUMP, is read"},
    {"AVML"sv, "a compressed AVML image: convert it to LiME with avml-convert"},
    {"PAGEDU64"sv, "a Windows crash dump: there is no Linux in it"},
    {"PAGEDUMP"sv, "a Windows crash dump: there is no Linux in it"},
    {"QFI\xfb"sv, "a qcow2 disk image, no memory dump"},
    {"\x28\xb5\x2f\xfd"sv, "compressed as a whole: decompress it first (zstd -d)"},
    {"\x1f\x8b\x08"sv, "compressed as a whole: decompress it first (gzip -d)"},
    {"\xfd\x37zXZ\0"sv, "compressed as a whole: decompress it first (xz -d)"},
    {"\x89LZO\0"sv, "compressed as a whole: decompress it first (lzop -d)"},
    {"BZh"sv, "compressed as a whole: decompress it first (bzip2 -d)"},
};

Opened<std::unique_ptr<FileBytes>> open_bytes(Fd descriptor) {
  auto file = PlainFile::open(std::move(descriptor));
  if (file && FlattenedFile::is_flattened(**file)) {
    return FlattenedFile::open(std::move(*file));
  }
  return file;
}

Opened<std::unique_ptr<DumpFileMemory>> open_raw(std::unique_ptr<FileBytes> file) {
  const std::uint64_t size = file->size();
  return std::make_unique<SegmentedDump>(std::move(file), std::vector<DumpSegment>{{0, size, 0}});
}

Opened<std::unique_ptr<DumpFileMemory>> open_elf(std::unique_ptr<FileBytes> file) {
  auto core = parse_elf_core(*file);
  if (!core) {
    return tl::unexpected(core.error());
  }
  return std::make_unique<SegmentedDump>(std::move(file), std::move(core->segments),
                                         std::move(core->registers));
}

Opened<std::unique_ptr<DumpFileMemory>> open_lime(std::unique_ptr<FileBytes> file) {
  auto segments = parse_lime_image(*file);
  if (!segments) {
    return tl::unexpected(segments.error());
  }
  return std::make_unique<SegmentedDump>(std::move(file), std::move(*segments));
}

} // namespace

Opened<std::unique_ptr<DumpFileMemory>> DumpFileMemory::open(Fd descriptor) {
  auto file = open_bytes(std::move(descriptor));
  if (!file) {
    return tl::unexpected(file.error());
  }
  std::array<char, kMagicBytes> start{};
  if (!(*file)->read(0, {reinterpret_cast<std::uint8_t *>(start.data()), start.size()})) {
    return problem("too short for a memory image", (*file)->size());
  }
  const std::string_view magic(start.data(), start.size());
  for (const auto &[bytes, reason] : kRefused) {
    if (magic.starts_with(bytes)) {
      return problem(reason);
    }
  }
  if (magic.starts_with("\177ELF")) {
    return open_elf(std::move(*file));
  }
  if (magic.starts_with("EMiL")) {
    return open_lime(std::move(*file));
  }
  if (magic.starts_with("KDUMP   ")) {
    return KdumpMemory::open(std::move(*file));
  }
  return open_raw(std::move(*file));
}

void DumpFileMemory::add_range(std::uint64_t start, std::uint64_t length) {
  if (!ranges_.empty() && ranges_.back().start.raw() + ranges_.back().length == start) {
    ranges_.back().length += length;
  } else {
    ranges_.push_back({GuestPhysical(start), length});
  }
}

} // namespace outguard::guest
