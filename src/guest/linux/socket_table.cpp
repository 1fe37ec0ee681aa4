#include "guest/linux/socket_table.h"

#include <utility>

namespace outguard::guest {
namespace {

/// Told of one socket; a row with so many still fits one message. A server with more workers on one
/// listener is rare, and what is left out is said.
constexpr std::size_t kMostOwners = 2048;

template <class Seen, class Row>
void add_owners(const SocketTable &table, const Row &row, Seen &seen, Completeness &outcome) {
  for (const Holder &holder : table.holders_of(row)) {
    if (seen.owners.size() == kMostOwners) {
      outcome.lost(PartialReason::RepeatsLeftOut, {FaultCode::LimitReached, holder.slot.raw()});
      return;
    }
    const Task &leader = table.leaders[holder.leader];
    seen.owners.push_back({leader.identity(), holder.fd, holder.hold, leader.name()});
  }
}

} // namespace

bool SocketRow::is_unbound() const {
  return !in_table && sock.state == SocketState::Close &&
         (sock.protocol == static_cast<std::uint8_t>(IpProtocol::Tcp) || sock.local.port == 0);
}

SocketsSeen SocketTable::to_seen() const {
  SocketsSeen result;
  result.completeness = completeness;
  for (const SocketRow &row : rows) {
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
    add_owners(*this, row, seen, result.completeness);
    (row.is_unbound() ? result.unbound : result.sockets).push_back(std::move(seen));
  }
  for (const OtherRow &row : others) {
    OtherSocketSeen seen = row.other.seen;
    seen.inode = row.inode;
    seen.netns = row.netns;
    seen.owner_status = row.owner_status;
    add_owners(*this, row, seen, result.completeness);
    result.others.push_back(std::move(seen));
  }
  return result;
}

} // namespace outguard::guest
