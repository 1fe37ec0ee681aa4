#include "guest/linux/open_files.h"

#include <algorithm>
#include <array>

#include "guest/linux/descriptor_table.h"
#include "guest/linux/process_root.h"

namespace outguard::guest {
namespace {

constexpr std::size_t kMostFiles = 65'536; ///< of one process; ulimit -n is 1024 to 1M
constexpr int kMostLooks = 4;
constexpr std::uint64_t kCloseOnExec = 02000000; ///< O_CLOEXEC: kept by the descriptor since 2.6

// include/uapi/linux/magic.h
constexpr std::uint64_t kSockets = 0x534f434b, kPipes = 0x50495045, kAnonymous = 0x09041934;

/// Positions move; what is open does not, while nobody opens or closes.
bool is_same(const OpenFileSeen &one, const OpenFileSeen &other) {
  return one.fd == other.fd && one.inode == other.inode && one.path == other.path &&
         one.deleted == other.deleted;
}

} // namespace

tl::expected<OpenFilesLayout, std::string> OpenFilesLayout::bind(const TypeTable &types) {
  std::string missing;
  OpenFilesLayout layout;
  StructBinder inode(types, "inode", missing);
  layout.number = inode.number("i_ino");
  layout.superblock = inode.pointer("i_sb");
  layout.inode = inode.extent();
  StructBinder superblock(types, "super_block", missing);
  layout.magic = superblock.number("s_magic");
  layout.superblock_extent = superblock.extent();
  StructBinder file(types, "file", missing);
  layout.position = file.optional_place("f_pos", sizeof(std::uint64_t));
  layout.flags = file.optional_place("f_flags", sizeof(std::uint32_t));
  if (!missing.empty()) {
    return tl::unexpected(missing);
  }
  return layout;
}

void OpenFiles::name(OpenFileSeen &seen, PathPoint place, std::uint64_t file_system,
                     const std::optional<PathPoint> &root, KernelReader &reader) const {
  const std::string number = "[" + std::to_string(seen.inode) + "]";
  if (file_system == kSockets || file_system == kPipes) {
    seen.path = GuestText((file_system == kSockets ? "socket:" : "pipe:") + number);
    return;
  }
  auto path = root ? paths_.read(place, *root, reader) : fault(FaultCode::NotFound);
  if (!path) {
    return;
  }
  if (file_system == kAnonymous) { // "/[eventpoll]": nothing that could be deleted
    const auto raw = path->path.raw();
    seen.path = GuestText("anon_inode:" + std::string(raw.substr(raw.starts_with('/') ? 1 : 0)));
    return;
  }
  seen.path = std::move(path->path);
  seen.deleted = path->deleted;
}

OpenFileSeen OpenFiles::describe(GuestVirtual address, const std::optional<PathPoint> &root,
                                 KernelReader &reader) const {
  OpenFileSeen seen;
  ObjectCopy file(kernel_.file.file);
  ObjectCopy inode(layout_.inode);
  ObjectCopy superblock(layout_.superblock_extent);
  if (!file.load(reader, address) || !inode.load(reader, file.pointer(kernel_.file.inode))) {
    return seen;
  }
  seen.inode = inode.number(layout_.number);
  const bool known = superblock.load(reader, inode.pointer(layout_.superblock)).has_value();
  name(seen, {file.pointer(kernel_.file.path_mount), file.pointer(kernel_.file.path_dentry)},
       known ? superblock.number(layout_.magic) : 0, root, reader);
  const auto number = [&](const std::optional<Member> &member) -> std::optional<std::uint64_t> {
    std::array<std::uint64_t, 1> word{};
    if (!member || !reader.words(address.plus_wrapping(member->offset), word)) {
      return std::nullopt;
    }
    return word[0];
  };
  seen.position = number(layout_.position);
  if (const auto flags = number(layout_.flags)) {
    seen.flags = static_cast<std::uint32_t>(*flags & ~kCloseOnExec);
  }
  return seen;
}

FilesSeen OpenFiles::look(const Task &task, KernelReader &reader) const {
  FilesSeen seen;
  DescriptorTableReader tables(kernel_.file);
  auto table = tables.locate(task.files, reader);
  if (!table) {
    seen.completeness.lost(table.error());
    return seen;
  }
  if (table->size > kMostFiles) {
    seen.completeness.lost({FaultCode::LimitReached, table->slots.raw()});
    table->size = kMostFiles;
  }
  const auto root = root_of_guest(tasks_, kernel_, reader);
  for (const auto &stretch : table->open_stretches(reader)) {
    std::array<std::uint64_t, DescriptorTable::kStretchSlots> words;
    const auto slots = std::span(words).first(stretch.count);
    if (const auto read = reader.words(stretch.start, slots); !read) {
      seen.completeness.lost(read.error());
      continue;
    }
    for (std::size_t index = 0; index < slots.size(); ++index) {
      if (slots[index] != 0) {
        auto &row = seen.files.emplace_back(describe(GuestVirtual(slots[index]), root, reader));
        row.fd = stretch.first_fd + static_cast<std::int32_t>(index);
      }
    }
  }
  if (const auto cut = reader.cut_short()) {
    seen.completeness.lost(*cut);
  }
  return seen;
}

FilesSeen OpenFiles::read(const Task &task, KernelReader &reader) const {
  if (task.files.is_null()) {
    return {}; // a kernel thread without, or exiting
  }
  FilesSeen before = look(task, reader);
  for (int i = 1; i < kMostLooks; ++i) {
    reader.renew();
    FilesSeen now = look(task, reader);
    if (std::ranges::equal(before.files, now.files, is_same) || !now.completeness.complete()) {
      return now;
    }
    before = std::move(now);
  }
  before.completeness.lost(PartialReason::KeptChanging, {FaultCode::Malformed, task.files.raw()});
  return before;
}

} // namespace outguard::guest
