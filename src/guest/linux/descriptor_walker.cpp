#include "guest/linux/descriptor_walker.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

namespace outguard::guest {
namespace {

constexpr std::uint64_t kMostDescriptors = std::uint64_t{1} << 20; ///< fs.nr_open's default
constexpr std::size_t kSlotBytes = 8;
/// Of one socket in one process: more descriptors of it name no further owner.
constexpr std::uint32_t kMostRepeats = 64;
constexpr std::size_t kMostHolders = std::size_t{1} << 17; ///< in one walk: 6 MiB
constexpr std::size_t kChunkSlots = 512;                   ///< one page of a descriptor table
constexpr int kMostPasses = 4;                             ///< over a chunk whose slots change
constexpr std::uint64_t kTypeMask = 0170000, kSocketType = 0140000; // S_IFMT, S_IFSOCK

using Slots = std::array<std::uint64_t, kChunkSlots>;

std::span<std::uint8_t> bytes_of(std::span<std::uint64_t> words) {
  return {reinterpret_cast<std::uint8_t *>(words.data()), words.size_bytes()};
}

} // namespace

/// One walk over all descriptor tables.
class DescriptorWalker::Pass {
public:
  Pass(const DescriptorWalker &walker, KernelReader &reader)
      : layout_(walker.layout_.file), sockets_(walker.layout_.socket),
        operations_(walker.socket_operations_), reader_(reader), files_(layout_.files),
        table_(layout_.table), file_(layout_.file), inode_(layout_.inode_extent),
        socket_(sockets_.socket) {}

  /// How many slots the table has; 0 when it is not there, or cannot be read now.
  [[nodiscard]] std::uint64_t size_of(GuestVirtual files);
  /// What the table `files` (a files_struct) holds, for that leader.
  void add(GuestVirtual files, std::uint32_t leader, Completeness &completeness);
  [[nodiscard]] std::vector<Holder> finish() { return std::move(found_); }

private:
  /// Where the slots are.
  struct Table {
    GuestVirtual slots;
    GuestVirtual open_bits;
    std::uint64_t size = 0;
  };
  /// A file seen in this walk: inherited descriptors share it, so it is followed once.
  struct Known {
    GuestVirtual file;
    std::optional<Holder> socket;
    std::uint32_t leader = 0; ///< the last one that held it,
    std::uint32_t count = 0;  ///< and how often
  };

  [[nodiscard]] Result<Table> locate(GuestVirtual files);
  void scan(const Table &table, std::uint32_t leader, Completeness &completeness);
  void scan_chunk(GuestVirtual start, std::size_t count, std::int32_t first_fd,
                  std::uint32_t leader, Completeness &completeness);
  [[nodiscard]] std::vector<bool> occupied_chunks(const Table &table);
  /// The socket behind a file; nullopt when it is none. Unmapped or Malformed: it changed.
  [[nodiscard]] Result<Known *> resolve(GuestVirtual file);
  void keep(const Holder &holder, Completeness &completeness);
  [[nodiscard]] Result<bool> is_socket();

  const FileLayout &layout_;
  const SocketLayout &sockets_;
  const std::optional<GuestVirtual> &operations_;
  KernelReader &reader_;
  ObjectCopy files_, table_, file_, inode_, socket_;
  std::array<Known, 256> known_{}; ///< by address; a collision costs a read, nothing else
  std::map<GuestVirtual, std::pair<std::size_t, std::size_t>>
      shared_; ///< files_struct -> in found_
  std::vector<Holder> found_;
};

Result<DescriptorWalker::Pass::Table> DescriptorWalker::Pass::locate(GuestVirtual files) {
  if (const auto loaded = files_.load(reader_, files); !loaded) {
    return tl::unexpected(loaded.error());
  }
  const GuestVirtual table = files_.pointer(layout_.files_table);
  const Member &first = layout_.files_first_table;
  if (table == files.plus_wrapping(first.offset)) { // a small process: already copied
    const auto inside = [&first](Member member) {
      member.offset += first.offset;
      return member;
    };
    return Table{files_.pointer(inside(layout_.table_slots)),
                 files_.pointer(inside(layout_.table_open)),
                 files_.number(inside(layout_.table_size))};
  }
  if (const auto loaded = table_.load(reader_, table); !loaded) {
    return tl::unexpected(loaded.error());
  }
  return Table{table_.pointer(layout_.table_slots), table_.pointer(layout_.table_open),
               table_.number(layout_.table_size)};
}

Result<bool> DescriptorWalker::Pass::is_socket() {
  if (operations_) {
    return file_.pointer(layout_.operations) == *operations_;
  }
  const auto loaded = inode_.load(reader_, file_.pointer(layout_.inode));
  if (!loaded) {
    return tl::unexpected(loaded.error());
  }
  return (inode_.number(layout_.inode_mode) & kTypeMask) == kSocketType;
}

Result<DescriptorWalker::Pass::Known *> DescriptorWalker::Pass::resolve(GuestVirtual file) {
  Known &known = known_[(file.raw() * 0x9e37'79b9'7f4a'7c15) >> 56];
  if (known.file == file) {
    return &known;
  }
  if (const auto loaded = file_.load(reader_, file); !loaded) {
    return tl::unexpected(loaded.error());
  }
  const auto answer = is_socket();
  if (!answer) {
    return tl::unexpected(answer.error());
  }
  std::optional<Holder> holder;
  if (*answer) {
    const GuestVirtual socket = file_.pointer(layout_.private_data);
    const auto loaded = socket_.load(reader_, socket.minus_wrapping(sockets_.socket_in_alloc));
    if (!loaded) {
      return tl::unexpected(loaded.error());
    }
    if (socket_.pointer(sockets_.socket_file) != file) {
      return fault(FaultCode::Malformed, file.raw()); // being made or taken down, or reused
    }
    if (const GuestVirtual sock = socket_.pointer(sockets_.socket_sock); !sock.is_null()) {
      holder = Holder{0, -1, {}, file, socket, sock, socket_.number(sockets_.socket_inode)};
    } // else being made or closed: nobody's connection
  }
  known = {file, holder, 0, 0};
  return &known;
}

void DescriptorWalker::Pass::keep(const Holder &holder, Completeness &completeness) {
  if (found_.size() < kMostHolders) {
    found_.push_back(holder);
  } else {
    completeness.lost({FaultCode::LimitReached, holder.slot.raw()});
  }
}

std::uint64_t DescriptorWalker::Pass::size_of(GuestVirtual files) {
  if (files.is_null()) {
    return 0;
  }
  const auto table = locate(files);
  return table ? table->size : 0;
}

void DescriptorWalker::Pass::scan_chunk(GuestVirtual start, std::size_t count,
                                        std::int32_t first_fd, std::uint32_t leader,
                                        Completeness &completeness) {
  Slots now{}, before{};
  const auto slots = std::span(now).first(count);
  std::array<bool, kChunkSlots> bad{};
  const std::size_t first_found = found_.size();
  Fault trouble{FaultCode::Malformed, start.raw()};
  for (int pass = 0; pass < kMostPasses; ++pass) {
    if (const auto read = reader_.read(start, bytes_of(slots)); !read) {
      completeness.lost(read.error());
      return;
    }
    bool settled = true;
    for (std::size_t index = 0; index < count; ++index) {
      if (now[index] == before[index] && !bad[index]) {
        continue;
      }
      settled = false;
      bad[index] = false;
      const auto fd = first_fd + static_cast<std::int32_t>(index);
      if (pass > 0) {
        const auto part = found_.begin() + static_cast<std::ptrdiff_t>(first_found);
        found_.erase(
            std::remove_if(part, found_.end(), [fd](const Holder &held) { return held.fd == fd; }),
            found_.end());
      }
      if (now[index] == 0) {
        continue;
      }
      const auto resolved = resolve(GuestVirtual(now[index]));
      if (!resolved) {
        bad[index] = true;
        trouble = resolved.error();
        continue;
      }
      Known &known = **resolved;
      if (!known.socket) {
        continue;
      }
      known.count = known.leader == leader ? known.count + 1 : 1;
      known.leader = leader;
      if (known.count > kMostRepeats) {
        completeness.lost(PartialReason::RepeatsLeftOut,
                          {FaultCode::LimitReached, start.plus_wrapping(index * kSlotBytes).raw()});
        continue;
      }
      Holder held = *known.socket;
      held.leader = leader;
      held.fd = fd;
      held.slot = start.plus_wrapping(index * kSlotBytes);
      keep(held, completeness);
    }
    before = now;
    const bool only_plain_files = found_.size() == first_found &&
                                  std::ranges::none_of(bad, [](bool is_bad) { return is_bad; });
    if (settled || only_plain_files) {
      return;
    }
  }
  if (trouble.code == FaultCode::Malformed) {
    completeness.lost(PartialReason::KeptChanging, trouble);
  } else {
    completeness.lost(trouble);
  }
}

std::vector<bool> DescriptorWalker::Pass::occupied_chunks(const Table &table) {
  const std::size_t chunks = (table.size + kChunkSlots - 1) / kChunkSlots;
  std::vector<bool> occupied(chunks, true);
  if (chunks <= 1) {
    return occupied;
  }
  constexpr std::size_t kBytesPerChunk = kChunkSlots / 8;
  std::vector<std::uint8_t> bits(chunks * kBytesPerChunk);
  if (!reader_.read(table.open_bits, std::span(bits).first((table.size + 7) / 8))) {
    return occupied; // then look at all of them
  }
  for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
    const auto part = std::span(bits).subspan(chunk * kBytesPerChunk, kBytesPerChunk);
    occupied[chunk] = std::ranges::any_of(part, [](std::uint8_t byte) { return byte != 0; });
  }
  return occupied;
}

void DescriptorWalker::Pass::scan(const Table &table, std::uint32_t leader,
                                  Completeness &completeness) {
  const auto occupied = occupied_chunks(table);
  for (std::size_t chunk = 0; chunk < occupied.size(); ++chunk) {
    if (occupied[chunk]) {
      const std::size_t first = chunk * kChunkSlots;
      scan_chunk(table.slots.plus_wrapping(first * kSlotBytes),
                 std::min<std::size_t>(kChunkSlots, table.size - first),
                 static_cast<std::int32_t>(first), leader, completeness);
    }
  }
}

void DescriptorWalker::Pass::add(GuestVirtual files, std::uint32_t leader,
                                 Completeness &completeness) {
  if (files.is_null()) {
    return; // a kernel thread without, or exiting
  }
  if (const auto known = shared_.find(files); known != shared_.end()) {
    const auto [begin, end] = known->second;
    if (begin < end && found_[begin].leader == leader) {
      return; // another thread of the same process
    }
    for (std::size_t index = begin; index < end; ++index) {
      Holder holder = found_[index];
      holder.leader = leader;
      keep(holder, completeness);
    }
    return;
  }
  auto table = locate(files);
  if (!table) {
    completeness.lost(table.error());
    return;
  }
  if (table->size > kMostDescriptors) {
    completeness.lost({FaultCode::LimitReached, files.raw()});
    table->size = kMostDescriptors;
  }
  const std::size_t begin = found_.size();
  scan(*table, leader, completeness);
  shared_[files] = {begin, found_.size()};
}

void DescriptorWalker::add_process(Pass &pass, const Task &leader, std::uint32_t index,
                                   KernelReader &reader, Completeness &completeness) const {
  Completeness here;
  pass.add(leader.files, index, here);
  if (!leader.is_alone() && !leader.is_kernel_thread()) {
    for (const Task &thread : tasks_.threads(leader, reader, here)) {
      if (thread.files != leader.files) {
        pass.add(thread.files, index, here);
      }
    }
  }
  if (here.complete()) {
    return;
  }
  // What failed because the process ended, or gave up its table, is no loss.
  const auto now = tasks_.read(leader.address, reader);
  if (!now || (now->identity() == leader.identity() && now->files == leader.files &&
               tasks_.is_linked(*now, reader))) {
    completeness.lost(here.reason, here.fault);
  }
}

std::vector<Holder> DescriptorWalker::walk(std::span<const Task> leaders, KernelReader &reader,
                                           Completeness &completeness) const {
  Pass pass(*this, reader);
  // The smallest table first: a process with a huge one can then use up what is left of the budget,
  // and no other process's share.
  std::vector<std::pair<std::uint64_t, std::uint32_t>> by_size;
  by_size.reserve(leaders.size());
  for (std::uint32_t index = 0; index < leaders.size(); ++index) {
    by_size.emplace_back(pass.size_of(leaders[index].files), index);
  }
  std::ranges::sort(by_size);
  for (const auto &[size, index] : by_size) {
    add_process(pass, leaders[index], index, reader, completeness);
  }
  return pass.finish();
}

} // namespace outguard::guest
