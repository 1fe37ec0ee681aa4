#include "guest/linux/hidden_sockets.h"

#include <algorithm>
#include <vector>

namespace outguard::guest {
namespace {

/// What the budget is made for; where it ends before the doubts do, the answer is partial.
constexpr std::size_t kMostDoubts = 1024;
constexpr std::uint64_t kReadsOfDoubt = 16; ///< two looks, twice, and its holders
constexpr std::uint64_t kMostBytes = std::uint64_t{256} << 20;
constexpr WalkBudget kSearchBudget{100'000, std::uint64_t{64} << 20};

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

} // namespace

/// Looks at one row at a time.
class HiddenSockets::Doubt {
public:
  Doubt(const LinuxLayout &layout, const SocketTable &table, KernelReader &reader)
      : layout_(layout), table_(table), reader_(reader), socks_(layout.socket) {}

  [[nodiscard]] bool stays_unlisted(const SocketRow &row, bool in_doubt);

private:
  [[nodiscard]] bool is_unlinked(const Sock &sock);

  const LinuxLayout &layout_;
  const SocketTable &table_;
  KernelReader &reader_;
  SockReader socks_;
};

/// The links of a chain are {next, back}, and `back` is where the pointer to the node stands.
bool HiddenSockets::Doubt::is_unlinked(const Sock &sock) {
  if (sock.links.back.is_null()) {
    return true;
  }
  const auto before = reader_.pointer(sock.links.back);
  return !before || *before != sock.address.plus_wrapping(layout_.socket.node.offset);
}

/// The kernel takes a sock out of a table, or puts it in, while it has it locked; a descriptor that
/// is being closed is empty by then. What holds at two moments, neither of them in such a change,
/// is no accident.
bool HiddenSockets::Doubt::stays_unlisted(const SocketRow &row, bool in_doubt) {
  constexpr int kLooks = 2;
  for (int look = 0; look < kLooks; ++look) {
    reader_.renew();
    const auto now = socks_.read(row.sock.address, reader_);
    if (!now || !now->is_same_flow(row.sock) || now->socket != row.sock.socket || now->is_locked ||
        !belongs_in_table(*now) || (!in_doubt && !is_unlinked(*now))) {
      return false;
    }
  }
  return std::ranges::any_of(table_.holders_of(row), [this](const Holder &holder) {
    return is_still_held(holder, layout_.file, reader_);
  });
}

void HiddenSockets::find(SocketTable &table, SocketScope scope, const AddressSpace &space) const {
  KernelReader reader(space, WalkBudget(kReadsOfDoubt * kMostDoubts, kMostBytes));
  Doubt doubt(layout_, table, reader);
  std::vector<SocketRow *> linked_elsewhere;
  for (SocketRow &row : table.rows) {
    if (row.in_table || row.holder_count == 0 || !belongs_in_table(row.sock)) {
      continue;
    }
    row.hidden = doubt.stays_unlisted(row, false);
    if (!row.hidden) {
      linked_elsewhere.push_back(&row);
    }
  }
  if (scope == SocketScope::All && !linked_elsewhere.empty()) {
    // Put into a table since the walk began; or linked to something that is none of the tables.
    Completeness second;
    KernelReader search(space, kSearchBudget);
    const auto socks = tables_.walk(search, second);
    if (second.complete() && !search.cut_short()) {
      for (SocketRow *row : linked_elsewhere) {
        row->hidden = !std::ranges::binary_search(socks, row->sock.address, {}, &Sock::address) &&
                      doubt.stays_unlisted(*row, true);
      }
    }
  }
  if (const auto cut = reader.cut_short()) {
    table.completeness.lost(*cut);
  }
}

} // namespace outguard::guest
