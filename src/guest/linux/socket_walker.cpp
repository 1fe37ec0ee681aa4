#include "guest/linux/socket_walker.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "guest/linux/namespace_inodes.h"
#include "guest/linux/socket_order.h"
#include "guest/linux/sort_unique.h"

namespace outguard::guest {
namespace {

constexpr std::uint64_t kMostReadsOfRow = 4;    ///< sock, socket or descriptor, and namespace
constexpr std::uint64_t kReadsAtLeast = 64;     ///< a guest with one socket, and that unlisted
constexpr std::uint64_t kMostReadsOfOther = 40; ///< three looks at it, its name and its peer
constexpr std::uint64_t kMostBytesOfRows = std::uint64_t{256} << 20;
/// Of one search for holders without a descriptor, or through the tables of other families.
constexpr WalkBudget kSearchBudget{100'000, std::uint64_t{64} << 20};
constexpr auto kTcp = static_cast<std::uint8_t>(IpProtocol::Tcp);

} // namespace

/// Brings socks and holders together. Every sock is read again here, after the descriptors: its
/// memory may be another connection's by now, and only now is its struct socket of the same time as
/// the holders. That also covers a TCP sock accepted between the two walks or lying under MPTCP.
class LinuxSocketWalker::Join {
public:
  Join(const LinuxSocketWalker &walker, KernelReader &reader, SocketTable &table)
      : walker_(walker), layout_(walker.layout_), reader_(reader), table_(table),
        holders_(std::move(table.holders)), used_(holders_.size()), namespaces_(layout_),
        socks_(layout_.socket) {
    table_.holders.clear();
    by_socket_.reserve(holders_.size());
    for (std::uint32_t index = 0; index < holders_.size(); ++index) {
      by_socket_.emplace_back(holders_[index].socket, index);
    }
    std::ranges::sort(by_socket_);
  }

  void add_listed(const std::vector<Sock> &socks);
  void add_unlisted();
  /// Looks for other holders than descriptors where there must be some, or (All) everywhere.
  void add_held(SocketScope scope);
  void add_others();
  void finish();

private:
  using Entry = std::pair<GuestVirtual, std::uint32_t>;

  /// Makes the sock, read just now, a row with its holders, sorted, and its namespace.
  void add(const Sock &sock, bool in_table);
  /// With a socket and no holder: the kernel's, or held in a message or by an io_uring.
  template <class Row> void settle_unowned(GuestVirtual socket, Row &row);
  /// More holders for a row: all of them then stand at the end.
  template <class Row> void add_holders(std::span<const Holder> more, Row &row);
  /// `sock` is the row's; that of an MPTCP subflow is not the one that its holders' socket names.
  template <class Row> void take_direct_holders(GuestVirtual sock, GuestVirtual socket, Row &row);
  [[nodiscard]] std::span<const Holder> held_of(GuestVirtual sock) const;
  void add_other(GuestVirtual sock);
  /// A budget for the next step; what the last one could not do is told.
  void allow(std::uint64_t reads);

  const LinuxSocketWalker &walker_;
  const LinuxLayout &layout_;
  KernelReader &reader_;
  SocketTable &table_;
  std::vector<Holder> holders_;
  std::vector<bool> used_; ///< its sock is a row
  std::vector<Entry> by_socket_;
  std::vector<Holder> held_; ///< without a descriptor of its own; by sock
  bool want_held_ = false;
  NamespaceInodes namespaces_;
  SockReader socks_;
};

template <class Row>
void LinuxSocketWalker::Join::take_direct_holders(GuestVirtual sock, GuestVirtual socket,
                                                  Row &row) {
  row.first_holder = static_cast<std::uint32_t>(table_.holders.size());
  if (socket.is_null()) {
    return;
  }
  for (auto at = std::ranges::lower_bound(by_socket_, socket, {}, &Entry::first);
       at != by_socket_.end() && at->first == socket; ++at) {
    table_.holders.push_back(holders_[at->second]);
    used_[at->second] = used_[at->second] || holders_[at->second].sock == sock;
  }
  const auto mine = std::span(table_.holders).subspan(row.first_holder);
  std::ranges::sort(mine, {}, [this](const Holder &holder) {
    return std::pair(table_.leaders[holder.leader].tgid, holder.fd);
  });
  row.holder_count = static_cast<std::uint32_t>(mine.size());
  if (!mine.empty()) {
    row.inode = mine.front().inode;
    row.owner_status = OwnerStatus::Exact;
  } else {
    settle_unowned(socket, row);
  }
}

void LinuxSocketWalker::Join::add(const Sock &sock, bool in_table) {
  SocketRow row{sock, 0, {}, OwnerStatus::None, in_table, 0, 0};
  row.netns = namespaces_.of_net(sock.net, reader_);
  take_direct_holders(sock.address, sock.socket, row);
  const bool is_kernels = row.owner_status == OwnerStatus::Kernel;
  if (row.holder_count == 0 && !sock.socket.is_null() && (!is_kernels || sock.protocol == kTcp)) {
    want_held_ = true; // a file without a descriptor; or without a file, maybe a subflow of MPTCP
  }
  table_.rows.push_back(row);
}

template <class Row> void LinuxSocketWalker::Join::settle_unowned(GuestVirtual socket, Row &row) {
  row.owner_status = OwnerStatus::Unknown;
  ObjectCopy copy(layout_.socket.socket);
  if (const auto loaded = copy.load(reader_, socket.minus_wrapping(layout_.socket.socket_in_alloc));
      !loaded) {
    table_.completeness.lost(loaded.error());
    return;
  }
  row.inode = copy.number(layout_.socket.socket_inode);
  if (copy.pointer(layout_.socket.socket_file).is_null()) {
    row.owner_status = OwnerStatus::Kernel;
  }
}

template <class Row>
void LinuxSocketWalker::Join::add_holders(std::span<const Holder> more, Row &row) {
  std::vector<Holder> all(table_.holders_of(row).begin(), table_.holders_of(row).end());
  all.insert(all.end(), more.begin(), more.end());
  const auto who = [this](const Holder &holder) {
    return std::tuple(table_.leaders[holder.leader].tgid, holder.hold, holder.fd);
  };
  sort_unique(all, who); // a grafted subflow is found both ways
  row.first_holder = static_cast<std::uint32_t>(table_.holders.size());
  row.holder_count = static_cast<std::uint32_t>(all.size());
  row.owner_status = OwnerStatus::Exact;
  table_.holders.insert(table_.holders.end(), all.begin(), all.end());
}

void LinuxSocketWalker::Join::allow(std::uint64_t reads) {
  if (const auto cut = reader_.cut_short()) {
    table_.completeness.lost(*cut);
  }
  reader_.budget() = WalkBudget(reads, kMostBytesOfRows);
}

std::span<const Holder> LinuxSocketWalker::Join::held_of(GuestVirtual sock) const {
  return {std::ranges::lower_bound(held_, sock, {}, &Holder::sock),
          std::ranges::upper_bound(held_, sock, {}, &Holder::sock)};
}

void LinuxSocketWalker::Join::add_listed(const std::vector<Sock> &socks) {
  for (const Sock &sock : socks) {
    const auto now = socks_.read(sock.address, reader_);
    if (now && now->is_same_flow(sock) && now->mini == sock.mini) {
      add(*now, true);
    } // else it ended since; what lies there now was not there when the walk began
  }
}

void LinuxSocketWalker::Join::add_unlisted() {
  for (std::uint32_t index = 0; index < holders_.size(); ++index) {
    const Holder &holder = holders_[index];
    if (used_[index] || holder.is_io_uring()) {
      continue;
    }
    const auto sock = socks_.read(holder.sock, reader_);
    // Read for the first time here, so the descriptor must be seen again after it.
    if (sock && sock->socket == holder.socket && is_still_held(holder, layout_.file, reader_)) {
      add(*sock, false);
    } else if (!(!sock && sock.error().code == FaultCode::NotFound) &&
               is_still_held(holder, layout_.file, reader_)) {
      if (sock) {
        table_.completeness.lost(PartialReason::KeptChanging,
                                 {FaultCode::Malformed, holder.sock.raw()});
      } else {
        table_.completeness.lost(sock.error());
      }
    }
  }
}

void LinuxSocketWalker::Join::add_held(SocketScope scope) {
  if (!want_held_ && scope == SocketScope::Ip) {
    return;
  }
  // What led to a row of the IP tables can hold nothing: roots are the sockets of other kinds.
  std::vector<Holder> roots;
  for (std::uint32_t index = 0; index < holders_.size(); ++index) {
    if (!used_[index]) {
      roots.push_back(holders_[index]);
    }
  }
  KernelReader reader(reader_.space(), kSearchBudget);
  held_ = walker_.held_.find(roots, table_.leaders, reader, table_.completeness);
  if (const auto cut = reader.cut_short()) {
    table_.completeness.lost(*cut);
  }
  const auto place = [](const Holder &holder) { // several messages with one file are one
    return std::tuple(holder.sock, holder.leader, holder.hold, holder.fd);
  };
  sort_unique(held_, place);
  allow(kMostReadsOfRow * held_.size());
  std::vector<GuestVirtual> listed;
  for (SocketRow &row : table_.rows) {
    listed.push_back(row.sock.address);
    if (scope == SocketScope::Ip && row.holder_count != 0) {
      continue;
    }
    if (const auto more = held_of(row.sock.address); !more.empty()) {
      add_holders(more, row);
    }
  }
  std::ranges::sort(listed);
  for (std::size_t at = 0; at < held_.size(); at += held_of(held_[at].sock).size()) {
    if (std::ranges::binary_search(listed, held_[at].sock)) {
      continue;
    }
    const auto sock = socks_.read(held_[at].sock, reader_);
    if (sock && sock->socket == held_[at].socket) {
      add(*sock, false);
      add_holders(held_of(sock->address), table_.rows.back());
      table_.rows.back().inode = held_[at].inode;
    }
  }
}

void LinuxSocketWalker::Join::add_other(GuestVirtual sock) {
  const auto other = walker_.others_.read(sock, reader_);
  if (!other) {
    if (other.error().code != FaultCode::NotFound) {
      table_.completeness.lost(other.error().code == FaultCode::Malformed
                                   ? PartialReason::KeptChanging
                                   : PartialReason::Unreadable,
                               other.error());
    }
    return;
  }
  OtherRow row{*other, 0, {}, OwnerStatus::None, 0, 0};
  row.netns = namespaces_.of_net(other->net, reader_);
  take_direct_holders(sock, other->socket, row);
  if (const auto more = held_of(sock); !more.empty()) {
    add_holders(more, row);
  }
  table_.others.push_back(std::move(row));
}

void LinuxSocketWalker::Join::add_others() {
  std::vector<GuestVirtual> socks;
  {
    KernelReader reader(reader_.space(), kSearchBudget);
    socks = walker_.other_tables_.walk(reader, table_.completeness);
    if (const auto cut = reader.cut_short()) {
      table_.completeness.lost(*cut);
    }
  }
  for (std::uint32_t index = 0; index < holders_.size(); ++index) {
    if (!used_[index] && !holders_[index].is_io_uring()) {
      socks.push_back(holders_[index].sock);
    }
  }
  std::ranges::transform(held_, std::back_inserter(socks), &Holder::sock);
  sort_unique(socks);
  allow(kMostReadsOfOther * socks.size());
  reader_.renew();
  for (const GuestVirtual sock : socks) {
    add_other(sock);
  }
}

void LinuxSocketWalker::Join::finish() {
  std::ranges::sort(table_.others, {}, [](const OtherRow &row) {
    return std::tuple(row.other.seen.family, row.netns, row.inode, row.other.seen.sock);
  });
  table_.rows = in_order(table_.rows);
}

SocketTable LinuxSocketWalker::walk(KernelReader &reader, SocketScope scope) const {
  SocketTable table;
  table.read_at = wall_now();
  const auto socks = tables_.walk(reader, table.completeness);
  table.leaders = tasks_.leaders(reader, table.completeness);
  table.holders = descriptors_.walk(table.leaders, reader, table.completeness);
  // What was found is read again, however little the walk has left: its size is bounded by now.
  KernelReader again(
      reader.space(),
      WalkBudget(kReadsAtLeast + kMostReadsOfRow * (socks.size() + table.holders.size()),
                 kMostBytesOfRows));
  Join join(*this, again, table);
  join.add_listed(socks);
  join.add_unlisted();
  join.add_held(scope);
  hidden_.find(table, scope, reader.space());
  if (scope == SocketScope::All) {
    join.add_others();
  }
  join.finish();
  for (const KernelReader *each : {&reader, &again}) {
    if (const auto cut = each->cut_short()) {
      table.completeness.lost(*cut);
    }
  }
  return table;
}

bool LinuxSocketWalker::is_unchanged(const SocketTable &table, const SocketRow &row,
                                     KernelReader &reader) const {
  SockReader socks(layout_.socket);
  const auto now = socks.read(row.sock.address, reader);
  if (!now || !now->is_same_flow(row.sock) || now->socket != row.sock.socket) {
    return false;
  }
  std::optional<std::uint32_t> checked;
  for (const Holder &holder : table.holders_of(row)) {
    if (checked == holder.leader) {
      continue; // one descriptor of a process is enough
    }
    checked = holder.leader;
    if (!is_still_held(holder, layout_.file, reader) ||
        !guest::is_unchanged(table.leaders[holder.leader], reader, layout_.task)) {
      return false;
    }
  }
  return true;
}

} // namespace outguard::guest
