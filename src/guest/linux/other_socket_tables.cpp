#include <algorithm>
#include <string>

#include "guest/linux/list_walk.h"
#include "guest/linux/other_sockets.h"
#include "guest/linux/sort_unique.h"

namespace outguard::guest {
namespace {

constexpr std::uint32_t kPointerBytes = 8;
/// UNIX_HASH_SIZE has been 2 * 256 since 2.6 (include/net/af_unix.h); types do not tell it. What is
/// no chain of unix sockets is noticed by its back links.
constexpr std::size_t kUnixBuckets = 512;
constexpr std::size_t kNetlinkTables = 32; ///< MAX_LINKS, include/uapi/linux/netlink.h
constexpr std::uint64_t kMostBuckets = std::uint64_t{1} << 16;
/// Of one rhashtable: it grows into a new one, and rarely that into a third before it has settled.
constexpr int kMostRehashes = 8;
constexpr std::size_t kMostInChain = 4096;
constexpr std::size_t kMostSocks = std::size_t{1} << 17;

std::vector<GuestVirtual> read_pointers(GuestVirtual first, std::size_t count, KernelReader &reader,
                                        Completeness &completeness) {
  std::vector<std::uint64_t> values(count);
  if (const auto read = reader.words(first, values); !read) {
    completeness.lost(read.error());
    return {};
  }
  return {values.begin(), values.end()};
}

} // namespace

class OtherSocketTables::Pass {
public:
  Pass(const OtherSocketTables &tables, KernelReader &reader, Completeness &completeness)
      : tables_(tables), reader_(reader), completeness_(completeness),
        links_({tables.layout_.socket.node.offset,
                tables.layout_.socket.node.offset + kListLinkBytes}) {}

  /// An hlist of socks by their node in struct sock_common.
  void follow_chain(GuestVirtual head, GuestVirtual first);
  void follow_unix(GuestVirtual buckets);
  void follow_namespaces();
  void follow_netlink();
  [[nodiscard]] std::vector<GuestVirtual> finish();

private:
  void follow_netlink_hash(GuestVirtual table);
  void follow_netlink_table(GuestVirtual table);
  void follow_netlink_chain(GuestVirtual first);
  [[nodiscard]] bool keep(GuestVirtual sock);

  const OtherSocketTables &tables_;
  KernelReader &reader_;
  Completeness &completeness_;
  ObjectCopy links_;
  std::vector<GuestVirtual> found_;
};

bool OtherSocketTables::Pass::keep(GuestVirtual sock) {
  if (found_.size() == kMostSocks) {
    completeness_.lost({FaultCode::LimitReached, sock.raw()});
    return false;
  }
  found_.push_back(sock);
  return true;
}

void OtherSocketTables::Pass::follow_chain(GuestVirtual head, GuestVirtual first) {
  const Member &node = tables_.layout_.socket.node;
  ListWalk walk(reader_, head, first, GuestVirtual());
  while (walk.next(links_, node, completeness_) && keep(links_.address())) {
  }
}

void OtherSocketTables::Pass::follow_unix(GuestVirtual buckets) {
  const auto heads = read_pointers(buckets, kUnixBuckets, reader_, completeness_);
  for (std::size_t index = 0; index < heads.size(); ++index) {
    if (!heads[index].is_null()) {
      follow_chain(buckets.plus_wrapping(index * kPointerBytes), heads[index]);
    }
  }
}

void OtherSocketTables::Pass::follow_namespaces() {
  const Member &list = tables_.layout_.table.net_list;
  Extent extent{list.offset, list.offset + list.size};
  for (const auto &member : {tables_.packet_list_, tables_.unix_buckets_}) {
    if (member) {
      extent.begin = std::min(extent.begin, member->offset);
      extent.end = std::max(extent.end, member->offset + member->size);
    }
  }
  const auto first = reader_.pointer(*tables_.namespaces_);
  if (!first) {
    completeness_.lost(first.error());
    return;
  }
  ObjectCopy net(extent);
  ListWalk walk(reader_, *tables_.namespaces_, *first, *tables_.namespaces_);
  while (walk.next(net, list, completeness_)) {
    if (tables_.packet_list_) {
      follow_chain(net.address().plus_wrapping(tables_.packet_list_->offset),
                   net.pointer(*tables_.packet_list_));
    }
    if (tables_.unix_buckets_) {
      follow_unix(net.pointer(*tables_.unix_buckets_));
    }
  }
}

/// A chain of a rhashtable has no way back, and ends with an odd value
/// (include/linux/rhashtable.h).
void OtherSocketTables::Pass::follow_netlink_chain(GuestVirtual first) {
  GuestVirtual node = first;
  for (std::size_t count = 0; !ListWalk::is_marker(node); ++count) {
    if (count == kMostInChain || !reader_.step() ||
        !keep(node.minus_wrapping(tables_.netlink_->node))) {
      completeness_.lost({FaultCode::LimitReached, node.raw()});
      return;
    }
    const auto next = reader_.pointer(node);
    if (!next) {
      completeness_.lost(next.error());
      return;
    }
    node = *next;
  }
}

void OtherSocketTables::Pass::follow_netlink_table(GuestVirtual table) {
  const NetlinkTable &layout = *tables_.netlink_;
  ObjectCopy copy(layout.table);
  if (const auto loaded = copy.load(reader_, table); !loaded) {
    completeness_.lost(loaded.error());
    return;
  }
  const std::uint64_t count = copy.number(layout.count);
  if (copy.number(layout.is_nested) != 0 || count > kMostBuckets) { // only while memory is short
    completeness_.lost({FaultCode::LimitReached, table.raw()});
    return;
  }
  for (const GuestVirtual head :
       read_pointers(table.plus_wrapping(layout.buckets), count, reader_, completeness_)) {
    follow_netlink_chain(GuestVirtual(head.raw() & ~std::uint64_t{1})); // bit 0 is the lock
  }
}

/// While a table grows or shrinks, new sockets are in its successor, and the old ones move there
/// one by one (lib/rhashtable.c: rhashtable_rehash_table). Read in the order in which they move.
void OtherSocketTables::Pass::follow_netlink_hash(GuestVirtual table) {
  for (int count = 0; !table.is_null(); ++count) {
    if (count == kMostRehashes) {
      completeness_.lost({FaultCode::LimitReached, table.raw()});
      return;
    }
    follow_netlink_table(table);
    const GuestVirtual link = table.plus_wrapping(tables_.netlink_->successor.offset);
    reader_.renew();
    const auto next = reader_.pointer(link);
    if (!next) {
      completeness_.lost(next.error());
      return;
    }
    table = *next;
  }
}

void OtherSocketTables::Pass::follow_netlink() {
  const NetlinkTable &layout = *tables_.netlink_;
  const auto tables = reader_.pointer(*tables_.netlink_tables_);
  if (!tables) {
    completeness_.lost(tables.error());
    return;
  }
  for (std::size_t protocol = 0; protocol < kNetlinkTables; ++protocol) {
    const auto table =
        reader_.pointer(tables->plus_wrapping(protocol * layout.size + layout.hash.offset));
    if (!table) {
      completeness_.lost(table.error());
    } else if (!table->is_null()) {
      follow_netlink_hash(*table);
    }
  }
}

std::vector<GuestVirtual> OtherSocketTables::Pass::finish() {
  sort_unique(found_);
  return std::move(found_);
}

OtherSocketTables::OtherSocketTables(const LinuxLayout &layout, const TypeTable &types,
                                     const SymbolTable &symbols)
    : layout_(layout), namespaces_(symbols.find("net_namespace_list")),
      unix_table_(symbols.find("unix_socket_table")), netlink_tables_(symbols.find("nl_table")) {
  std::string missing;
  StructBinder net(types, "net", missing);
  packet_list_ = net.optional_place("packet.sklist.first", kPointerBytes);
  unix_buckets_ = net.optional_place("unx.table.buckets", kPointerBytes); // since 6.0
  NetlinkTable found;
  found.hash = StructBinder(types, "netlink_table", missing).place("hash.tbl");
  found.size = types.size_of("netlink_table").value_or(0);
  StructBinder table(types, "bucket_table", missing);
  found.count = table.number("size");
  found.is_nested = table.number("nest");
  found.buckets = table.place("buckets").offset;
  found.successor = table.place("future_tbl");
  found.table = table.extent();
  found.node = StructBinder(types, "netlink_sock", missing).place("node").offset;
  if (missing.empty() && found.size != 0) {
    netlink_ = found;
  }
}

std::vector<GuestVirtual> OtherSocketTables::walk(KernelReader &reader,
                                                  Completeness &completeness) const {
  Pass pass(*this, reader, completeness);
  const auto unknown = [&] {
    completeness.lost(PartialReason::TableUnknown, {FaultCode::NotFound, 0});
  };
  if (namespaces_ && packet_list_) {
    pass.follow_namespaces();
  } else {
    unknown();
  }
  if (!unix_buckets_) {
    if (unix_table_) {
      pass.follow_unix(*unix_table_);
    } else {
      unknown();
    }
  }
  if (netlink_ && netlink_tables_) {
    pass.follow_netlink();
  } else {
    unknown();
  }
  return pass.finish();
}

} // namespace outguard::guest
