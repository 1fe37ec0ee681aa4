#include "guest/linux/socket_walker.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

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
/// Whether a socket is really in no table is asked of so many in one walk.
constexpr std::size_t kMostDoubts = 1024;
constexpr std::uint64_t kReadsOfDoubt = 16; ///< two looks, twice, and its holders
constexpr auto kTcp = static_cast<std::uint8_t>(IpProtocol::Tcp);

/// Does a sock of this kind stand in one of the tables that SocketTables walks, at all times but
/// the moments when the kernel has it locked? (TCP: net/ipv4/tcp.c, tcp_set_state; UDP and ping:
/// from the moment they have a port; raw: always.)
bool belongs_in_table(const Sock &sock) {
  if (sock.raw) {
    return true;
  }
  switch (static_cast<IpProtocol>(sock.protocol)) {
  case IpProtocol::Tcp:
    return sock.state != SocketState::Close;
  case IpProtocol::Udp:
  case IpProtocol::UdpLite:
  case IpProtocol::Icmp:
  case IpProtocol::Icmpv6:
    return sock.local.port != 0;
  }
  return false; // SCTP and others have tables of their own
}

template <class Seen, class Row>
void add_owners(const SocketTable &table, const Row &row, Seen &seen) {
  for (const Holder &holder : table.holders_of(row)) {
    const Task &leader = table.leaders[holder.leader];
    seen.owners.push_back({leader.identity(), holder.fd, holder.hold, leader.name()});
  }
}

} // namespace

bool SocketRow::is_unbound() const {
  return !in_table && sock.state == SocketState::Close &&
         (sock.protocol == kTcp || sock.local.port == 0);
}

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
  /// Rows that a table should have.
  void find_hidden(SocketScope scope);
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
  [[nodiscard]] bool is_unlinked(const Sock &sock);
  [[nodiscard]] bool stays_unlisted(const SocketRow &row, bool in_doubt);
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
    if (sock && sock->socket == holder.socket && walker_.holds_still(holder, reader_)) {
      add(*sock, false);
    } else if (!(!sock && sock.error().code == FaultCode::NotFound) &&
               walker_.holds_still(holder, reader_)) {
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

/// The links of a chain are {next, back}, and `back` is where the pointer to the node stands.
bool LinuxSocketWalker::Join::is_unlinked(const Sock &sock) {
  if (sock.links.back.is_null()) {
    return true;
  }
  const auto before = reader_.pointer(sock.links.back);
  return !before || *before != sock.address.plus_wrapping(layout_.socket.node.offset);
}

/// The kernel takes a sock out of a table, or puts it in, while it has it locked; a descriptor that
/// is being closed is empty by then. What holds at two moments, neither of them in such a change,
/// is no accident.
bool LinuxSocketWalker::Join::stays_unlisted(const SocketRow &row, bool in_doubt) {
  constexpr int kLooks = 2;
  for (int look = 0; look < kLooks; ++look) {
    reader_.renew();
    const auto now = socks_.read(row.sock.address, reader_);
    if (!now || !now->is_same_flow(row.sock) || now->socket != row.sock.socket || now->is_locked ||
        !belongs_in_table(*now) || (!in_doubt && !is_unlinked(*now))) {
      return false;
    }
  }
  const auto holders = table_.holders_of(row);
  return std::ranges::any_of(
      holders, [this](const Holder &holder) { return walker_.holds_still(holder, reader_); });
}

void LinuxSocketWalker::Join::find_hidden(SocketScope scope) {
  allow(kReadsOfDoubt * kMostDoubts);
  std::vector<SocketRow *> linked_elsewhere;
  std::size_t doubts = 0;
  for (SocketRow &row : table_.rows) {
    if (row.in_table || row.holder_count == 0 || !belongs_in_table(row.sock) ||
        ++doubts > kMostDoubts) {
      continue;
    }
    row.hidden = stays_unlisted(row, false);
    if (!row.hidden) {
      linked_elsewhere.push_back(&row);
    }
  }
  if (scope == SocketScope::Ip || linked_elsewhere.empty()) {
    return;
  }
  // Put into a table since the walk began; or linked to something that is none of the tables.
  Completeness second;
  KernelReader reader(reader_.space(), kSearchBudget);
  const auto socks = walker_.tables_.walk(reader, second);
  if (!second.complete() || reader.cut_short()) {
    return;
  }
  for (SocketRow *row : linked_elsewhere) {
    const auto found = std::ranges::lower_bound(socks, row->sock.address, {}, &Sock::address);
    row->hidden =
        (found == socks.end() || found->address != row->sock.address) && stays_unlisted(*row, true);
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
  join.find_hidden(scope);
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

SocketsSeen LinuxSocketWalker::to_seen(const SocketTable &table) {
  SocketsSeen result;
  result.completeness = table.completeness;
  for (const SocketRow &row : table.rows) {
    SocketSeen seen;
    seen.family = row.sock.family;
    seen.protocol = row.sock.protocol;
    seen.raw = row.sock.raw;
    seen.state = row.sock.state;
    seen.local = row.sock.local;
    seen.remote = row.sock.remote;
    seen.inode = row.inode;
    seen.netns = row.netns;
    seen.owner_status = row.owner_status;
    seen.uid = row.sock.uid;
    seen.sock = row.sock.address.raw();
    seen.hidden = row.hidden;
    add_owners(table, row, seen);
    (row.is_unbound() ? result.unbound : result.sockets).push_back(std::move(seen));
  }
  for (const OtherRow &row : table.others) {
    OtherSocketSeen seen = row.other.seen;
    seen.inode = row.inode;
    seen.netns = row.netns;
    seen.owner_status = row.owner_status;
    add_owners(table, row, seen);
    result.others.push_back(std::move(seen));
  }
  return result;
}

bool LinuxSocketWalker::holds_still(const Holder &holder, KernelReader &reader) const {
  // A slot of an io_uring has flags where a file's address has none.
  constexpr std::uint64_t kAddressMask = ~std::uint64_t{7};
  reader.renew(holder.slot, sizeof(std::uint64_t));
  const auto file = reader.pointer(holder.slot);
  if (!file || (file->raw() & kAddressMask) != holder.file.raw()) {
    return false;
  }
  const auto socket = reader.pointer(holder.file.plus_wrapping(layout_.file.private_data.offset));
  return socket && *socket == holder.socket;
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
    if (!holds_still(holder, reader) ||
        !guest::is_unchanged(table.leaders[holder.leader], reader, layout_.task)) {
      return false;
    }
  }
  return true;
}

} // namespace outguard::guest
