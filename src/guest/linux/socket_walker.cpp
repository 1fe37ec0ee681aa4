#include "guest/linux/socket_walker.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace outguard::guest {
namespace {

constexpr std::uint64_t kMostReadsOfRow = 4; ///< sock, socket or descriptor, and namespace
constexpr std::uint64_t kMostBytesOfRows = std::uint64_t{256} << 20;
constexpr auto kTcp = static_cast<std::uint8_t>(IpProtocol::Tcp);

auto order_of(const SocketRow &row) {
  return std::tie(row.sock.protocol, row.sock.raw, row.sock.family, row.sock.local, row.sock.remote,
                  row.sock.net, row.sock.address);
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
  void finish();

private:
  using Entry = std::pair<GuestVirtual, std::uint32_t>;

  /// Makes the sock, read just now, a row with its holders, sorted, and its namespace.
  void add(const Sock &sock, bool in_table);
  /// A row with a socket and no holder: kernel socket, passed in a message, or not accepted yet.
  void settle_unowned(SocketRow &row);

  const LinuxSocketWalker &walker_;
  const LinuxLayout &layout_;
  KernelReader &reader_;
  SocketTable &table_;
  std::vector<Holder> holders_;
  std::vector<bool> used_;
  std::vector<Entry> by_socket_;
  NamespaceInodes namespaces_;
  SockReader socks_;
};

void LinuxSocketWalker::Join::add(const Sock &sock, bool in_table) {
  SocketRow row{sock, 0, {}, OwnerStatus::None, in_table, 0, 0};
  row.netns = namespaces_.of_net(sock.net, reader_);
  row.first_holder = static_cast<std::uint32_t>(table_.holders.size());
  if (!sock.socket.is_null()) {
    for (auto at = std::ranges::lower_bound(by_socket_, sock.socket, {}, &Entry::first);
         at != by_socket_.end() && at->first == sock.socket; ++at) {
      table_.holders.push_back(holders_[at->second]);
      used_[at->second] = true;
    }
  }
  const auto mine = std::span(table_.holders).subspan(row.first_holder);
  std::ranges::sort(mine, {}, [this](const Holder &holder) {
    return std::pair(table_.leaders[holder.leader].tgid, holder.fd);
  });
  row.holder_count = static_cast<std::uint32_t>(mine.size());
  if (!mine.empty()) {
    row.inode = mine.front().inode;
    row.owner_status = OwnerStatus::Exact;
  } else if (!sock.socket.is_null()) {
    settle_unowned(row);
  }
  table_.rows.push_back(row);
}

void LinuxSocketWalker::Join::settle_unowned(SocketRow &row) {
  ObjectCopy socket(layout_.socket.socket);
  if (const auto loaded =
          socket.load(reader_, row.sock.socket.minus_wrapping(layout_.socket.socket_in_alloc));
      !loaded) {
    table_.completeness.lost(loaded.error());
    return;
  }
  row.inode = socket.number(layout_.socket.socket_inode);
  if (socket.pointer(layout_.socket.socket_file).is_null()) {
    row.owner_status = OwnerStatus::Kernel;
  }
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
    if (used_[index]) {
      continue;
    }
    const Holder &holder = holders_[index];
    const auto sock = socks_.read(holder.sock, reader_);
    if (sock && sock->socket == holder.socket) {
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

void LinuxSocketWalker::Join::finish() {
  std::ranges::sort(table_.rows,
                    [](const auto &a, const auto &b) { return order_of(a) < order_of(b); });
}

SocketTable LinuxSocketWalker::walk(KernelReader &reader) const {
  SocketTable table;
  table.read_at = wall_now();
  const auto socks = tables_.walk(reader, table.completeness);
  table.leaders = tasks_.leaders(reader, table.completeness);
  table.holders = descriptors_.walk(table.leaders, reader, table.completeness);
  // What was found is read again, however little the walk has left: its size is bounded by now.
  KernelReader again(
      reader.space(),
      WalkBudget(kMostReadsOfRow * (socks.size() + table.holders.size()), kMostBytesOfRows));
  Join join(*this, again, table);
  join.add_listed(socks);
  join.add_unlisted();
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
    seen.sock = row.sock.address.raw();
    for (const Holder &holder : table.holders_of(row)) {
      const Task &leader = table.leaders[holder.leader];
      seen.owners.push_back(
          {leader.identity(), holder.fd, Hold::Descriptor, leader.name()});
    }
    (row.is_unbound() ? result.unbound : result.sockets).push_back(std::move(seen));
  }
  return result;
}

bool LinuxSocketWalker::holds_still(const Holder &holder, KernelReader &reader) const {
  const auto file = reader.pointer(holder.slot);
  if (!file || *file != holder.file) {
    return false;
  }
  const auto socket = reader.pointer(file->plus_wrapping(layout_.file.private_data.offset));
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
