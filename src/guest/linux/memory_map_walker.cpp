#include "guest/linux/memory_map_walker.h"

#include <algorithm>
#include <array>

#include "guest/linux/process_root.h"

namespace outguard::guest {
namespace {

constexpr int kMostRetries = 3;
constexpr std::size_t kMostAreas = 262'144; ///< four times the default of vm.max_map_count
constexpr std::size_t kMostCodeFiles = 512; ///< programs have some ten, browsers two hundred
constexpr std::uint64_t kPageShift = 12;
constexpr std::size_t kMostNameBytes = 96; ///< ANON_VMA_NAME_MAX_LEN is 80

// include/linux/mm.h, the same since 2.6.
constexpr std::uint64_t kRead = 1, kWrite = 2, kExecute = 4, kMayShare = 0x80;

/// FMODE_BACKING, include/linux/fs.h, since 6.5; looked at only where struct backing_file exists.
constexpr std::uint64_t kBackingFile = 1U << 25;

/// Up to the NUL, one short read; long enough names do not exist in honest kernels.
Result<std::string> read_text(GuestVirtual address, KernelReader &reader) {
  std::array<std::uint8_t, kMostNameBytes> bytes{};
  // It may end right before memory that is not there: no read past a page's end that the text does
  // not reach itself.
  const std::size_t to_page_end = 4096 - address.raw() % 4096;
  const std::size_t first = std::min(bytes.size(), to_page_end);
  auto done = reader.read(address, std::span(bytes).first(first));
  auto end = std::find(bytes.begin(), bytes.end(), 0);
  if (done && first < bytes.size() && static_cast<std::size_t>(end - bytes.begin()) >= first) {
    done = reader.read(address.plus_wrapping(first), std::span(bytes).subspan(first));
    end = std::find(bytes.begin(), bytes.end(), 0);
  }
  if (!done) {
    return tl::unexpected(done.error());
  }
  if (end == bytes.end()) {
    return fault(FaultCode::Malformed, address.raw());
  }
  return std::string(bytes.begin(), end);
}

} // namespace

// ---- Areas
// -----------------------------------------------------------------------------------------

Result<MemoryMapWalker::Area> MemoryMapWalker::read_area(GuestVirtual address, GuestVirtual mm,
                                                         KernelReader &reader) const {
  ObjectCopy copy(layout_.area);
  if (const auto loaded = copy.load(reader, address); !loaded) {
    return tl::unexpected(loaded.error());
  }
  Area area;
  area.start = copy.number(layout_.start);
  area.end = copy.number(layout_.end);
  area.flags = copy.number(layout_.flags);
  area.page_offset = copy.number(layout_.page_offset);
  area.file = copy.pointer(layout_.file);
  area.operations = copy.pointer(layout_.operations);
  area.private_data = copy.pointer(layout_.private_data);
  area.next = layout_.next ? copy.pointer(*layout_.next) : GuestVirtual{};
  area.anonymous_name =
      layout_.anonymous_name ? copy.pointer(*layout_.anonymous_name) : GuestVirtual{};
  if (copy.pointer(layout_.owner) != mm || area.start >= area.end) {
    return fault(FaultCode::Malformed, address.raw());
  }
  return area;
}

Result<void> MemoryMapWalker::follow_list(const ObjectCopy &mm, KernelReader &reader,
                                          std::vector<Area> &found) const {
  for (GuestVirtual at = mm.pointer(*layout_.first); !at.is_null();) {
    const auto area = read_area(at, mm.address(), reader);
    if (!area) {
      return tl::unexpected(area.error());
    }
    // The list is sorted, so one that leads back ends here.
    if (!found.empty() && area->start < found.back().end) {
      return fault(FaultCode::Malformed, at.raw());
    }
    if (found.size() == kMostAreas) {
      return fault(FaultCode::LimitReached, at.raw());
    }
    found.push_back(*area);
    at = area->next;
  }
  return {};
}

Result<void> MemoryMapWalker::follow_tree(const ObjectCopy &mm, KernelReader &reader,
                                          std::vector<Area> &found) const {
  MapleTreeWalk walk(*layout_.tree_node, reader);
  const auto read =
      walk.read(mm.address().plus_wrapping(layout_.tree), mm.number(*layout_.root), kMostAreas);
  for (const MapleEntry &entry : walk.entries()) {
    const auto area = read_area(entry.value, mm.address(), reader);
    if (!area) {
      return tl::unexpected(area.error());
    }
    if (area->start != entry.first || area->end - 1 != entry.last) {
      return fault(FaultCode::Malformed, entry.value.raw());
    }
    found.push_back(*area);
  }
  return read;
}

std::vector<MemoryMapWalker::Area> MemoryMapWalker::areas_of(GuestVirtual address, ObjectCopy &mm,
                                                             KernelReader &reader,
                                                             Completeness &completeness) const {
  std::vector<Area> found;
  for (int attempt = 0;; ++attempt) {
    found.clear();
    auto read = mm.load(reader, address);
    if (read) {
      read = layout_.root ? follow_tree(mm, reader, found) : follow_list(mm, reader, found);
    }
    // The kernel's own count, before and after, is what a list cut short cannot agree with.
    reader.renew();
    ObjectCopy after(layout_.mm);
    const auto again = read ? after.load(reader, address) : read;
    const std::uint64_t count = mm.number(layout_.count);
    if (again && found.size() == count && after.number(layout_.count) == count) {
      return found;
    }
    const Fault why = again ? Fault{FaultCode::Malformed, address.raw()} : again.error();
    if (attempt == kMostRetries || reader.cut_short()) {
      why.code == FaultCode::Malformed ? completeness.lost(PartialReason::KeptChanging, why)
                                       : completeness.lost(why);
      return found;
    }
  }
}

GuestVirtual MemoryMapWalker::file_at(GuestVirtual mm, GuestVirtual address,
                                      KernelReader &reader) const {
  ObjectCopy copy(layout_.mm);
  Completeness completeness;
  const auto areas = areas_of(mm, copy, reader, completeness);
  const auto found = std::ranges::find_if(areas, [&](const Area &area) {
    return area.start <= address.raw() && address.raw() < area.end;
  });
  return found == areas.end() ? GuestVirtual{} : found->file;
}

// ---- Names
// -----------------------------------------------------------------------------------------

bool MemoryMapWalker::is_backing_file(GuestVirtual file, KernelReader &reader) const {
  if (!layout_.backing_file) {
    return false;
  }
  const Member &mode = layout_.backing_file->mode;
  ObjectCopy copy({mode.offset, mode.offset + mode.size});
  return copy.load(reader, file) && (copy.number(mode) & kBackingFile) != 0;
}

MemoryMapWalker::FileName MemoryMapWalker::name_of_file(GuestVirtual address,
                                                        const std::optional<PathPoint> &root,
                                                        KernelReader &reader) const {
  FileName name;
  ObjectCopy file(kernel_.file.file);
  ObjectCopy inode(layout_.inode);
  if (!file.load(reader, address)) {
    return name;
  }
  PathPoint place{file.pointer(kernel_.file.path_mount), file.pointer(kernel_.file.path_dentry)};
  GuestVirtual inode_at = file.pointer(kernel_.file.inode);
  if (is_backing_file(address, reader)) {
    const auto &backing = *layout_.backing_file;
    const auto pointer = [&](GuestVirtual at) {
      return reader.pointer(at).value_or(GuestVirtual{});
    };
    place = {pointer(address.plus_wrapping(backing.mount)),
             pointer(address.plus_wrapping(backing.dentry))};
    inode_at = pointer(place.dentry.plus_wrapping(backing.dentry_inode));
  }
  if (inode.load(reader, inode_at)) {
    name.inode = inode.number(layout_.inode_number);
  }
  if (root) {
    auto path = paths_.read(place, *root, reader);
    if (path) {
      name.path = std::move(*path);
    }
  }
  return name;
}

std::optional<GuestText> MemoryMapWalker::name_of_memory(const Area &area, const ObjectCopy &mm,
                                                         KernelReader &reader) const {
  if (!area.operations.is_null()) {
    if (area.operations == layout_.special_operations && layout_.special_name) {
      const auto name = reader.pointer(area.private_data.plus_wrapping(*layout_.special_name));
      auto text = name ? read_text(*name, reader) : tl::unexpected(name.error());
      return text ? std::optional<GuestText>(std::move(*text)) : std::nullopt;
    }
    const auto function =
        layout_.name_function
            ? reader.pointer(area.operations.plus_wrapping(*layout_.name_function))
            : Result<GuestVirtual>(GuestVirtual{1});
    if (!function || !function->is_null()) {
      return std::nullopt; // a function of the guest's own would say it
    }
  }
  if (area.start < mm.number(layout_.heap_end) && area.end > mm.number(layout_.heap_start)) {
    return GuestText("[heap]");
  }
  const std::uint64_t stack = mm.number(layout_.stack_start);
  if (area.start <= stack && stack <= area.end) {
    return GuestText("[stack]");
  }
  if (!area.anonymous_name.is_null() && layout_.anonymous_text) {
    const auto text = read_text(area.anonymous_name.plus_wrapping(*layout_.anonymous_text), reader);
    return text ? std::optional<GuestText>("[anon:" + *text + "]") : std::nullopt;
  }
  return GuestText("");
}

MapSeen MemoryMapWalker::describe(const Area &area, Shared &shared, KernelReader &reader) const {
  MapSeen seen;
  seen.start = area.start;
  seen.end = area.end;
  seen.readable = (area.flags & kRead) != 0;
  seen.writable = (area.flags & kWrite) != 0;
  seen.executable = (area.flags & kExecute) != 0;
  seen.shared = (area.flags & kMayShare) != 0;
  if (area.file.is_null()) {
    seen.path = name_of_memory(area, shared.mm, reader);
    return seen;
  }
  const FileName &name = shared.files.get(
      area.file, [&](GuestVirtual file) { return name_of_file(file, shared.root, reader); });
  seen.offset = area.page_offset << kPageShift;
  seen.inode = name.inode;
  if (name.path) {
    seen.path = name.path->path;
    seen.deleted = name.path->deleted;
  }
  return seen;
}

MapsSeen MemoryMapWalker::walk(GuestVirtual address, KernelReader &reader) const {
  MapsSeen seen;
  ObjectCopy mm(layout_.mm);
  const auto areas = areas_of(address, mm, reader, seen.completeness);
  Shared shared{mm, root_of_guest(tasks_, kernel_, reader), {}};
  for (const Area &area : areas) {
    seen.maps.push_back(describe(area, shared, reader));
  }
  if (const auto cut = reader.cut_short()) {
    seen.completeness.lost(*cut);
  }
  return seen;
}

CodeSeen MemoryMapWalker::code(GuestVirtual address, KernelReader &reader) const {
  CodeSeen seen;
  ObjectCopy mm(layout_.mm);
  const auto areas = areas_of(address, mm, reader, seen.completeness);
  Shared shared{mm, root_of_guest(tasks_, kernel_, reader), {}};
  for (const Area &area : areas) {
    const auto is_of = [&](const CodeFile &known) { return known.file == area.file; };
    if ((area.flags & kExecute) == 0 || area.file.is_null() ||
        std::ranges::any_of(seen.files, is_of)) {
      continue;
    }
    if (seen.files.size() == kMostCodeFiles) {
      seen.completeness.lost({FaultCode::LimitReached, area.start});
      break;
    }
    seen.files.push_back({area.file, describe(area, shared, reader)});
  }
  if (const auto cut = reader.cut_short()) {
    seen.completeness.lost(*cut);
  }
  return seen;
}

} // namespace outguard::guest
