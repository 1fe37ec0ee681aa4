#pragma once
// The join of the kernel's socket tables and the processes' descriptors: every socket with every
// process that holds it. Where a socket has a file and no descriptor leads to it, the other ways to
// hold one are searched (HeldSockets). Borrows its parts.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "guest/linux/completeness.h"
#include "guest/linux/descriptor_walker.h"
#include "guest/linux/held_sockets.h"
#include "guest/linux/namespace_inodes.h"
#include "guest/linux/other_sockets.h"
#include "guest/linux/sock.h"
#include "guest/linux/socket_tables.h"
#include "guest/linux/walk_results.h"

namespace outguard::guest {

struct SocketRow {
  Sock sock;
  std::uint64_t inode = 0;
  std::optional<std::uint64_t> netns;
  OwnerStatus owner_status = OwnerStatus::None;
  bool in_table = false;          ///< found in the kernel's tables, not only through a descriptor
  std::uint32_t first_holder = 0; ///< in SocketTable::holders
  std::uint32_t holder_count = 0;
  bool hidden = false; ///< see SocketSeen

  /// Made by socket(2) and not used yet: /proc/net does not list it.
  [[nodiscard]] bool is_unbound() const;
};

/// One that is in no IP table, nor belongs there.
struct OtherRow {
  OtherSocket other;
  std::uint64_t inode = 0;
  std::optional<std::uint64_t> netns;
  OwnerStatus owner_status = OwnerStatus::None;
  std::uint32_t first_holder = 0; ///< in SocketTable::holders
  std::uint32_t holder_count = 0;
};

/// The result of one walk, with the addresses that a later check needs.
struct SocketTable {
  WallTime read_at{};           ///< host clock when the walk began
  std::vector<Task> leaders;    ///< every process at that time
  std::vector<Holder> holders;  ///< a row's holders stand together, lowest pid first
  std::vector<SocketRow> rows;  ///< by protocol, family and addresses
  std::vector<OtherRow> others; ///< by family and address; only when all were asked for
  Completeness completeness;

  /// No process was left out that holds a socket of this table. One descriptor table that kept
  /// changing does not spoil what was found: it is checked again before it is told.
  [[nodiscard]] bool owners_are_known() const {
    return completeness.reason <= PartialReason::TableUnknown;
  }
  template <class Row> [[nodiscard]] std::span<const Holder> holders_of(const Row &row) const {
    return std::span(holders).subspan(row.first_holder, row.holder_count);
  }
};

enum class SocketScope : std::uint8_t {
  Ip,  ///< sockets of the IP tables; other holders than descriptors only where those are wanting
  All, ///< every family, every holder
};

class LinuxSocketWalker {
public:
  LinuxSocketWalker(const LinuxLayout &layout, const TaskList &tasks, const TypeTable &types,
                    const SymbolTable &symbols)
      : layout_(layout), tasks_(tasks), tables_(layout, symbols),
        descriptors_(layout, tasks, symbols), held_(layout, tasks, descriptors_, types),
        other_tables_(layout, types, symbols), others_(layout, types) {}
  LinuxSocketWalker(const LinuxSocketWalker &) = delete;
  LinuxSocketWalker &operator=(const LinuxSocketWalker &) = delete;

  /// The tables first, then the descriptors: a connection accepted in between is then found with
  /// its owner, and one that was closed in between is looked at again.
  [[nodiscard]] SocketTable walk(KernelReader &reader, SocketScope scope = SocketScope::Ip) const;
  [[nodiscard]] static SocketsSeen to_seen(const SocketTable &table);

  /// Reads the row's sock again, and of every process that holds it the task and one descriptor:
  /// all as it was?
  [[nodiscard]] bool is_unchanged(const SocketTable &table, const SocketRow &row,
                                  KernelReader &reader) const;

private:
  class Join;
  [[nodiscard]] bool holds_still(const Holder &holder, KernelReader &reader) const;

  const LinuxLayout &layout_;
  const TaskList &tasks_;
  SocketTables tables_;
  DescriptorWalker descriptors_;
  HeldSockets held_;
  OtherSocketTables other_tables_;
  OtherSocketReader others_;
};

} // namespace outguard::guest
