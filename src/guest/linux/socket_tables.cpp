#include "guest/linux/socket_tables.h"

#include <algorithm>
#include <cstring>

namespace outguard::guest {
namespace {

/// The kernel makes at most 512 Ki buckets by itself; thash_entries= may ask for more.
constexpr std::uint64_t kMostBuckets = std::uint64_t{1} << 22;
constexpr std::size_t kChunkBytes = 65536;
constexpr std::size_t kMostSocks = std::size_t{1} << 17;  ///< in one walk: 20 MiB
constexpr std::size_t kMostChains = std::size_t{1} << 16; ///< side by side: 10 MiB
constexpr std::uint32_t kPointerBytes = 8;
constexpr std::uint32_t kMostBroken = 64;     ///< chains; a table with more is no table
constexpr std::uint32_t kMostSuspects = 1024; ///< likewise, before any of them is walked again
constexpr int kMostRetries = 3; ///< of a chain that changed into nonsense under the walk

/// What the chains of one table end with: null, or (number of the bucket + something) * 2 + 1. Any
/// empty bucket tells it (include/linux/list_nulls.h, INIT_HLIST_NULLS_HEAD).
class ChainEnds {
public:
  void learn(std::uint64_t bucket, GuestVirtual head) {
    if (ListWalk::is_marker(head)) {
      of_first_ = head.is_null() ? 0 : head.raw() - bucket * 2;
    }
  }
  [[nodiscard]] bool known() const { return of_first_.has_value(); }
  [[nodiscard]] std::optional<GuestVirtual> of(std::uint64_t bucket) const {
    if (!of_first_) {
      return std::nullopt;
    }
    return GuestVirtual(*of_first_ == 0 ? 0 : *of_first_ + bucket * 2);
  }

private:
  std::optional<std::uint64_t> of_first_;
};

} // namespace

/// One walk: what it found, and which tables it has been through (namespaces share most).
class SocketTables::Pass {
public:
  Pass(const LinuxLayout &layout, KernelReader &use_reader, Completeness &use_completeness)
      : reader(use_reader), completeness(use_completeness), socks_(layout.socket),
        node_(layout.socket.node) {}

  /// Gathers the chains of one table.
  void add(const Buckets &buckets);
  /// Follows all that were gathered, side by side and in the order of addresses: a page that holds
  /// socks of many chains is then fetched once a step, however large the tables.
  void follow();
  [[nodiscard]] std::vector<Sock> finish();
  /// True the first time that this table is named.
  [[nodiscard]] bool is_new(GuestVirtual table) { return seen_.emplace(table, true).second; }

  KernelReader &reader;
  Completeness &completeness;

private:
  using End = std::optional<GuestVirtual>;

  struct Chain {
    GuestVirtual head;
    End end;
    std::uint32_t table = 0;
    ListWalk walk;
    Completeness outcome;
  };
  /// How many chains of a table did not end well.
  struct Trouble {
    std::uint32_t suspects = 0; ///< the first time
    std::uint32_t broken = 0;   ///< nor later
  };
  /// One sock of it; false when it ends.
  [[nodiscard]] bool step(Chain &chain);
  /// Again, one that changed into nonsense under the walk.
  void retry(Chain &chain);

  SockReader socks_;
  Member node_;
  std::map<GuestVirtual, bool> seen_;
  std::vector<Chain> chains_;
  std::vector<Trouble> troubles_; ///< of each table
  std::vector<Sock> found_;
};

bool SocketTables::Pass::step(Chain &chain) {
  const auto node = chain.walk.node(chain.outcome);
  if (!node) {
    return false;
  }
  const auto sock = socks_.read(node->minus_wrapping(node_.offset), reader);
  if (!sock && sock.error().code != FaultCode::NotFound) {
    chain.walk.give_up(sock.error(), chain.outcome);
  } else if (found_.size() == kMostSocks) {
    chain.walk.give_up({FaultCode::LimitReached, node->raw()}, chain.outcome);
  } else if (chain.walk.accept(socks_.links(), chain.outcome) && sock) {
    found_.push_back(*sock);
  }
  return true;
}

void SocketTables::Pass::retry(Chain &chain) {
  for (int attempt = 0; attempt < kMostRetries && !chain.outcome.complete(); ++attempt) {
    const auto first = reader.pointer(chain.head);
    if (!first) {
      break;
    }
    chain.walk = ListWalk(reader, chain.head, *first, chain.end);
    chain.outcome = {};
    while (step(chain)) { // what is found twice is dropped in the end
    }
  }
  if (!chain.outcome.complete()) {
    ++troubles_[chain.table].broken;
    completeness.lost(chain.outcome.reason, chain.outcome.fault);
  }
}

void SocketTables::Pass::follow() {
  using Next = std::pair<GuestVirtual, std::uint32_t>; // node, and whose
  std::vector<Next> open, going_on;
  for (const Chain &chain : chains_) {
    open.emplace_back(chain.walk.position(), static_cast<std::uint32_t>(open.size()));
  }
  for (; !open.empty(); open.swap(going_on)) {
    std::ranges::sort(open);
    going_on.clear();
    for (const auto &[node, number] : open) {
      Chain &chain = chains_[number];
      Trouble &trouble = troubles_[chain.table];
      if (trouble.suspects > kMostSuspects) {
        chain.outcome.lost(PartialReason::ListBroken, {FaultCode::Malformed, node.raw()});
      } else if (step(chain)) {
        if (const GuestVirtual next = chain.walk.position(); next != chain.end) {
          going_on.emplace_back(next, number);
        }
      } else if (!chain.outcome.complete()) {
        ++trouble.suspects;
      }
    }
  }
  for (Chain &chain : chains_) {
    if (!chain.outcome.complete() && troubles_[chain.table].broken <= kMostBroken) {
      retry(chain);
    }
  }
  chains_.clear();
}

void SocketTables::Pass::add(const Buckets &buckets) {
  if (buckets.count > kMostBuckets) {
    completeness.lost(PartialReason::BudgetExhausted,
                      {FaultCode::LimitReached, buckets.first.raw()});
  }
  const std::uint64_t count = std::min(buckets.count, kMostBuckets);
  const std::uint64_t per_chunk = std::max<std::uint64_t>(kChunkBytes / buckets.stride, 1);
  const auto table = static_cast<std::uint32_t>(troubles_.size());
  troubles_.emplace_back();
  std::vector<std::uint8_t> chunk;
  ChainEnds ends;
  for (std::uint64_t done = 0; done < count && troubles_[table].broken <= kMostBroken;
       done += per_chunk) {
    const GuestVirtual start = buckets.first.plus_wrapping(done * buckets.stride);
    const std::uint64_t here = std::min(per_chunk, count - done);
    chunk.resize(here * buckets.stride);
    if (const auto read = reader.read(start, chunk); !read) {
      ++troubles_[table].broken;
      completeness.lost(read.error());
      continue;
    }
    const auto head_of = [&](std::uint64_t index) {
      std::uint64_t first = 0;
      std::memcpy(&first, chunk.data() + index * buckets.stride + buckets.head, sizeof first);
      return GuestVirtual(first);
    };
    for (std::uint64_t index = 0; index < here && !ends.known(); ++index) {
      ends.learn(done + index, head_of(index));
    }
    for (std::uint64_t index = 0; index < here; ++index) {
      const GuestVirtual first = head_of(index);
      const auto end = ends.of(done + index);
      if (first == end) {
        continue;
      }
      const GuestVirtual head = start.plus_wrapping(index * buckets.stride + buckets.head);
      chains_.push_back({head, end, table, ListWalk(reader, head, first, end), {}});
      if (chains_.size() == kMostChains) {
        follow();
      }
    }
  }
}

std::vector<Sock> SocketTables::Pass::finish() {
  std::vector<std::pair<GuestVirtual, std::uint32_t>> order; // socks are long, and sorted by little
  order.reserve(found_.size());
  for (const Sock &sock : found_) {
    order.emplace_back(sock.address, static_cast<std::uint32_t>(order.size()));
  }
  std::ranges::sort(order);
  std::vector<Sock> sorted;
  sorted.reserve(order.size());
  for (const auto &[address, index] : order) {
    if (sorted.empty() || sorted.back().address != address) {
      sorted.push_back(found_[index]);
    }
  }
  return sorted;
}

SocketTables::SocketTables(const LinuxLayout &layout, const SymbolTable &symbols)
    : layout_(layout), init_net_(symbols.find("init_net")),
      namespace_list_(symbols.find("net_namespace_list")), tcp_(symbols.find("tcp_hashinfo")),
      udp_(symbols.find("udp_table")), udplite_(symbols.find("udplite_table")),
      ping_(symbols.find("ping_table")), raw_v4_(symbols.find("raw_v4_hashinfo")),
      raw_v6_(symbols.find("raw_v6_hashinfo")) {}

void SocketTables::find_tcp(GuestVirtual hashinfo, Pass &pass) const {
  if (hashinfo.is_null() || !pass.is_new(hashinfo)) {
    return;
  }
  const TableLayout &layout = layout_.table;
  ObjectCopy copy(layout.hashinfo);
  if (const auto loaded = copy.load(pass.reader, hashinfo); !loaded) {
    pass.completeness.lost(loaded.error());
    return;
  }
  const GuestVirtual established = copy.pointer(layout.established);
  if (pass.is_new(established)) {
    pass.add(
        {established, copy.number(layout.established_mask) + 1, layout.established_bucket_size, 0});
  }
  if (layout.listening) {
    pass.add({hashinfo.plus_wrapping(layout.listening->offset),
              layout.listening->size / layout.listen_bucket_size, layout.listen_bucket_size,
              layout.listen_bucket_head});
    return;
  }
  const GuestVirtual listening = copy.pointer(layout.listening2);
  if (pass.is_new(listening)) {
    pass.add({listening, copy.number(layout.listening2_mask) + 1, layout.listen_bucket_size,
              layout.listen_bucket_head});
  }
}

void SocketTables::find_udp(GuestVirtual table, Pass &pass) const {
  if (table.is_null() || !pass.is_new(table)) {
    return;
  }
  const TableLayout &layout = layout_.table;
  ObjectCopy copy(layout.udp);
  if (const auto loaded = copy.load(pass.reader, table); !loaded) {
    pass.completeness.lost(loaded.error());
    return;
  }
  pass.add({copy.pointer(layout.udp_slots), copy.number(layout.udp_mask) + 1, layout.udp_slot_size,
            layout.udp_slot_head});
}

void SocketTables::find_namespaces(Pass &pass) const {
  const TableLayout &layout = layout_.table;
  if (!layout.net_tcp && !layout.net_udp) {
    return; // this kernel has one table for all
  }
  ObjectCopy net(layout.net);
  const auto find_tables = [&] {
    if (layout.net_tcp) {
      find_tcp(net.pointer(*layout.net_tcp), pass);
    }
    if (layout.net_udp) {
      find_udp(net.pointer(*layout.net_udp), pass);
    }
  };
  const auto first = namespace_list_ ? pass.reader.pointer(*namespace_list_)
                                     : Result<GuestVirtual>(fault(FaultCode::NotFound));
  if (!first) {
    pass.completeness.lost(PartialReason::TableUnknown, first.error());
    if (init_net_ && net.load(pass.reader, *init_net_)) {
      find_tables();
    }
    return;
  }
  ListWalk walk(pass.reader, *namespace_list_, *first, *namespace_list_);
  while (walk.next(net, layout.net_list, pass.completeness)) {
    find_tables();
  }
}

std::vector<Sock> SocketTables::walk(KernelReader &reader, Completeness &completeness) const {
  Pass pass(layout_, reader, completeness);
  find_namespaces(pass);
  const auto unknown = [&] {
    completeness.lost(PartialReason::TableUnknown, {FaultCode::NotFound, 0});
  };
  if (tcp_) {
    find_tcp(*tcp_, pass);
  } else if (!layout_.table.net_tcp) {
    unknown();
  }
  if (udp_) {
    find_udp(*udp_, pass);
  } else if (!layout_.table.net_udp) {
    unknown();
  }
  if (udplite_) {
    find_udp(*udplite_, pass);
  }
  const auto heads_inside = [&](GuestVirtual table, const Member &heads) {
    pass.add({table.plus_wrapping(heads.offset), heads.size / kPointerBytes, kPointerBytes, 0});
  };
  if (raw_v4_) {
    heads_inside(*raw_v4_, layout_.table.raw_slots);
  } else {
    unknown();
  }
  if (raw_v6_) { // absent where IPv6 is not built in
    heads_inside(*raw_v6_, layout_.table.raw_slots);
  }
  if (ping_ && layout_.table.ping_slots) {
    heads_inside(*ping_, *layout_.table.ping_slots);
  }
  pass.follow();
  return pass.finish();
}

} // namespace outguard::guest
