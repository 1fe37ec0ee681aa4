#pragma once
// What one walk over a guest's sockets found: every socket with all that hold it, and the addresses
// that a later check needs. Plain data.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "guest/linux/completeness.h"
#include "guest/linux/holder.h"
#include "guest/linux/other_sockets.h"
#include "guest/linux/sock.h"
#include "guest/linux/task.h"
#include "guest/linux/walk_results.h"

namespace outguard::guest {

enum class SocketScope : std::uint8_t {
  Ip,  ///< sockets of the IP tables; other holders than descriptors only where those are wanting
  All, ///< every family, every holder
};

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

struct SocketTable {
  WallTime read_at{};           ///< host clock when the walk began
  std::vector<Task> leaders;    ///< every process at that time
  std::vector<Holder> holders;  ///< a row's holders stand together, lowest pid first
  std::vector<SocketRow> rows;  ///< by protocol, family and addresses
  std::vector<OtherRow> others; ///< by family and address; only when all were asked for
  Completeness completeness;

  [[nodiscard]] SocketsSeen to_seen() const;

  /// No process was left out that holds a socket of this table. One descriptor table that kept
  /// changing does not spoil what was found: it is checked again before it is told.
  [[nodiscard]] bool owners_are_known() const {
    return completeness.reason <= PartialReason::TableUnknown;
  }
  template <class Row> [[nodiscard]] std::span<const Holder> holders_of(const Row &row) const {
    return std::span(holders).subspan(row.first_holder, row.holder_count);
  }
};

} // namespace outguard::guest
