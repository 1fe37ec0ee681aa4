#include "guest/linux/socket_walker.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace outguard::guest {
namespace {

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

/// Brings socks and holders together. A holder belongs to a row by struct sock, or by struct
/// socket: the latter also covers a TCP sock that was accepted between the two walks or lies under
/// MPTCP.
class LinuxSocketWalker::Join {
public:
  Join(const LinuxSocketWalker &walker, KernelReader &reader, SocketTable &table)
      : walker_(walker), layout_(walker.layout_), reader_(reader), table_(table),
        holders_(std::move(table.holders)), used_(holders_.size()), namespaces_(layout_),
        socks_(layout_.socket) {
    table_.holders.clear();
    for (std::uint32_t index = 0; index < holders_.size(); ++index) {
      by_address_.emplace_back(holders_[index].socket, index);
      by_address_.emplace_back(holders_[index].sock, index);
    }
    std::ranges::sort(by_address_);
  }

  void add_listed(const std::vector<Sock> &socks);
  void add_unlisted();
  void finish();

private:
  using Entry = std::pair<GuestVirtual, std::uint32_t>;

  void take_holders(GuestVirtual key, std::vector<Holder> &out);
  /// Gives the row its holders, sorted, and its namespace.
  void complete(SocketRow &row);
  /// A row with a socket and no holder: kernel socket, passed in a message, or closed meanwhile.
  [[nodiscard]] bool settle_unowned(SocketRow &row);

  const LinuxSocketWalker &walker_;
  const LinuxLayout &layout_;
  KernelReader &reader_;
  SocketTable &table_;
  std::vector<Holder> holders_;
  std::vector<bool> used_;
  std::vector<Entry> by_address_;
  NamespaceInodes namespaces_;
  SockReader socks_;
};

void LinuxSocketWalker::Join::take_holders(GuestVirtual key, std::vector<Holder> &out) {
  if (key.is_null()) {
    return;
  }
  for (auto at = std::ranges::lower_bound(by_address_, key, {}, &Entry::first);
       at != by_address_.end() && at->first == key; ++at) {
    out.push_back(holders_[at->second]);
    used_[at->second] = true;
  }
}

void LinuxSocketWalker::Join::complete(SocketRow &row) {
  std::vector<Holder> mine;
  take_holders(row.sock.address, mine);
  take_holders(row.sock.socket, mine);
  const auto key = [this](const Holder &holder) {
    return std::pair(table_.leaders[holder.leader].tgid, holder.fd);
  };
  std::ranges::sort(mine, {}, key);
  mine.erase(std::unique(mine.begin(), mine.end(),
                         [&key](const Holder &a, const Holder &b) { return key(a) == key(b); }),
             mine.end());

  row.first_holder = static_cast<std::uint32_t>(table_.holders.size());
  row.holder_count = static_cast<std::uint32_t>(mine.size());
  table_.holders.insert(table_.holders.end(), mine.begin(), mine.end());
  if (!mine.empty()) {
    row.inode = mine.front().inode;
    row.owner_status = OwnerStatus::Exact;
  }
  row.netns = namespaces_.of_net(row.sock.net, reader_);
}

bool LinuxSocketWalker::Join::settle_unowned(SocketRow &row) {
  const auto now = socks_.read(row.sock.address, reader_);
  if (!now || !now->is_same_flow(row.sock) || now->mini) {
    return false;
  }
  row.sock = *now;
  ObjectCopy socket(layout_.socket.socket);
  if (row.sock.socket.is_null()) {
    return true; // became an orphan
  }
  if (const auto loaded =
          socket.load(reader_, row.sock.socket.minus_wrapping(layout_.socket.socket_in_alloc));
      !loaded) {
    table_.completeness.lost(loaded.error());
    return true;
  }
  row.inode = socket.number(layout_.socket.socket_inode);
  if (socket.pointer(layout_.socket.socket_file).is_null()) {
    row.owner_status = OwnerStatus::Kernel;
  }
  return true;
}

void LinuxSocketWalker::Join::add_listed(const std::vector<Sock> &socks) {
  for (const Sock &sock : socks) {
    SocketRow row{sock, 0, {}, OwnerStatus::None, true, 0, 0};
    complete(row);
    if (row.holder_count != 0 || sock.socket.is_null() || settle_unowned(row)) {
      table_.rows.push_back(row);
    }
  }
}

void LinuxSocketWalker::Join::add_unlisted() {
  for (std::uint32_t index = 0; index < holders_.size(); ++index) {
    if (used_[index]) {
      continue;
    }
    const auto sock = socks_.read(holders_[index].sock, reader_);
    if (!sock) {
      if (sock.error().code != FaultCode::NotFound &&
          walker_.holds_still(holders_[index], reader_)) {
        table_.completeness.lost(sock.error());
      }
      continue;
    }
    SocketRow row{*sock, 0, {}, OwnerStatus::Exact, false, 0, 0};
    complete(row);
    table_.rows.push_back(row);
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
  Join join(*this, reader, table);
  join.add_listed(socks);
  join.add_unlisted();
  join.finish();
  if (const auto cut = reader.cut_short()) {
    table.completeness.lost(*cut);
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
      seen.owners.push_back({leader.identity(), holder.fd, leader.name()});
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
  return std::ranges::all_of(table.holders_of(row), [&](const Holder &holder) {
    return holds_still(holder, reader) &&
           guest::is_unchanged(table.leaders[holder.leader], reader, layout_.task);
  });
}

} // namespace outguard::guest
