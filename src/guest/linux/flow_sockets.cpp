#include "guest/linux/flow_sockets.h"

#include <algorithm>
#include <string>

#include "guest/linux/list_walk.h"

namespace outguard::guest {
namespace {

constexpr auto kTcp = static_cast<std::uint8_t>(IpProtocol::Tcp);
constexpr auto kUdp = static_cast<std::uint8_t>(IpProtocol::Udp);
constexpr std::size_t kMostNamespaces = 1024; ///< more: the whole table is the shorter way
constexpr std::size_t kMostSocks = 256;       ///< that fit one flow, as SO_REUSEPORT allows
constexpr std::uint32_t kMostTrials = 16;     ///< of one kind; then its hash is known well enough
constexpr std::uint32_t kPointerBytes = 8;

FlowTuple normal_flow_of(const Sock &sock) {
  return {sock.protocol,
          {sock.local.address.unmapped(), sock.local.port},
          {sock.remote.address.unmapped(), sock.remote.port}};
}

bool is_connected(const Sock &sock) {
  return !sock.remote.address.is_unspecified();
}

/// A variable of this name; a function's own ones have a number that the compiler chose behind it.
std::optional<GuestVirtual> find_variable(const SymbolTable &symbols, const std::string &name) {
  constexpr int kMostNumbers = 64;
  auto found = symbols.find(name);
  for (int number = 0; number < kMostNumbers && !found; ++number) {
    found = symbols.find(name + "." + std::to_string(number));
  }
  return found;
}

/// Since 6.9 the secrets lie in a structure of all that is hot, wherever it had a hole.
std::optional<GuestVirtual> find_secret(const TypeTable &types, const SymbolTable &symbols,
                                        const char *variable, const char *member) {
  if (const auto found = find_variable(symbols, variable)) {
    return found;
  }
  const auto hot = symbols.find("net_hotdata");
  const auto inside = types.member("net_hotdata", member);
  return hot && inside && inside->size == sizeof(std::uint32_t)
             ? std::optional(hot->plus_wrapping(inside->offset))
             : std::nullopt;
}

} // namespace

/// What one look-up has found so far.
class FlowSockets::Gather {
public:
  Gather(const LinuxLayout &layout, const Nets &use_nets, KernelReader &use_reader)
      : nets(use_nets), reader(use_reader), layout_(layout), socks_(layout.socket) {}

  /// Adds what `fits` of the chain at `head`; false: it changed too much, or holds too many.
  template <class Fits>
  [[nodiscard]] bool follow(GuestVirtual head, std::optional<GuestVirtual> end, Fits fits) {
    const auto first = reader.pointer(head);
    if (!first) {
      return false;
    }
    Completeness outcome;
    ListWalk walk(reader, head, *first, end);
    while (const auto node = walk.node(outcome)) {
      const auto sock = socks_.read(node->minus_wrapping(layout_.socket.node.offset), reader);
      if (!sock && sock.error().code != FaultCode::NotFound) {
        return false;
      }
      if (walk.accept(socks_.links(), outcome) && sock && fits(*sock)) {
        found.push_back(*sock);
      }
    }
    return outcome.complete() && found.size() <= kMostSocks;
  }
  /// Raw sockets of the flow's protocol may have sent it as well. Their table is small: all of it.
  [[nodiscard]] bool add_raw(GuestVirtual table, std::uint8_t protocol);

  const Nets &nets;
  KernelReader &reader;
  std::vector<Sock> found;

private:
  const LinuxLayout &layout_;
  SockReader socks_;
};

bool FlowSockets::Gather::add_raw(GuestVirtual table, std::uint8_t protocol) {
  const Member &slots = layout_.table.raw_slots;
  std::vector<std::uint64_t> heads(slots.size / kPointerBytes);
  const GuestVirtual start = table.plus_wrapping(slots.offset);
  if (!reader.words(start, heads)) {
    return false;
  }
  for (std::size_t slot = 0; slot < heads.size(); ++slot) {
    if (!ListWalk::is_marker(GuestVirtual(heads[slot])) &&
        !follow(start.plus_wrapping(slot * kPointerBytes), std::nullopt,
                [&](const Sock &sock) { return sock.raw && sock.protocol == protocol; })) {
      return false;
    }
  }
  return true;
}

FlowSockets::FlowSockets(const LinuxLayout &layout, const TypeTable &types,
                         const SymbolTable &symbols)
    : layout_(layout), tcp_(symbols.find("tcp_hashinfo")), udp_(symbols.find("udp_table")),
      init_net_(symbols.find("init_net")), namespace_list_(symbols.find("net_namespace_list")),
      raw_v4_(symbols.find("raw_v4_hashinfo")), raw_v6_(symbols.find("raw_v6_hashinfo")),
      secret_places_{find_secret(types, symbols, "inet_ehash_secret", "tcp_protocol.secret"),
                     find_secret(types, symbols, "inet6_ehash_secret", "tcpv6_protocol.secret"),
                     find_secret(types, symbols, "ipv6_hash_secret", "tcpv6_offload.secret")} {
  std::string missing;
  StructBinder net(types, "net", missing);
  const Member mix = net.number("hash_mix");
  net.include(layout.table.net_list);
  for (const auto &table : {layout.table.net_tcp, layout.table.net_udp}) {
    if (table) {
      net.include(*table);
    }
  }
  net_extent_ = net.extent();
  if (missing.empty()) {
    mix_ = mix;
  }
}

std::optional<FlowSockets::Nets> FlowSockets::namespaces(KernelReader &reader) const {
  if (!mix_ || !namespace_list_) {
    return std::nullopt;
  }
  const auto first = reader.pointer(*namespace_list_);
  if (!first) {
    return std::nullopt;
  }
  const TableLayout &layout = layout_.table;
  ObjectCopy net(net_extent_);
  Completeness outcome;
  Nets nets;
  ListWalk walk(reader, *namespace_list_, *first, *namespace_list_);
  while (walk.next(net, layout.net_list, outcome)) {
    if (nets.size() == kMostNamespaces) {
      return std::nullopt;
    }
    nets.push_back({layout.net_tcp ? net.pointer(*layout.net_tcp) : tcp_.value_or(GuestVirtual()),
                    layout.net_udp ? net.pointer(*layout.net_udp) : udp_.value_or(GuestVirtual()),
                    static_cast<std::uint32_t>(net.number(*mix_))});
  }
  return outcome.complete() && !nets.empty() ? std::optional(std::move(nets)) : std::nullopt;
}

FlowSockets::Kind FlowSockets::kind_of(const FlowTuple &flow, bool is_connected) {
  if (flow.protocol == kUdp) {
    return Kind::Udp;
  }
  return !is_connected                               ? Kind::Listening
         : flow.local.address.family == IpFamily::V4 ? Kind::EstablishedV4
                                                     : Kind::EstablishedV6;
}

bool FlowSockets::gather(Kind kind, const FlowTuple &flow, Gather &into) const {
  const TableLayout &layout = layout_.table;
  const auto fits_flow = [&](const Sock &sock) { return normal_flow_of(sock) == flow; };
  const auto fits_port = [&](const Sock &sock) {
    return sock.local.port == flow.local.port && (!is_connected(sock) || fits_flow(sock));
  };
  ObjectCopy tcp(layout.hashinfo), udp(layout.udp);
  for (const Net &net : into.nets) {
    if (kind == Kind::Udp) {
      if (!udp.load(into.reader, net.udp)) {
        return false;
      }
      const std::uint64_t bucket =
          port_hash(flow.local.port, net.mix) & udp.number(layout.udp_mask);
      if (!into.follow(udp.pointer(layout.udp_slots)
                           .plus_wrapping(bucket * layout.udp_slot_size + layout.udp_slot_head),
                       GuestVirtual(0), fits_port)) {
        return false;
      }
      continue;
    }
    if (!tcp.load(into.reader, net.tcp)) {
      return false;
    }
    if (kind != Kind::Listening) {
      const std::uint64_t bucket =
          established_hash(flow, secrets_, net.mix) & tcp.number(layout.established_mask);
      if (!into.follow(tcp.pointer(layout.established)
                           .plus_wrapping(bucket * layout.established_bucket_size),
                       GuestVirtual(bucket << 1 | 1), fits_flow)) { // INIT_HLIST_NULLS_HEAD
        return false;
      }
      continue;
    }
    const auto follow_listeners = [&](GuestVirtual buckets, std::uint64_t bucket) {
      return into.follow(
          buckets.plus_wrapping(bucket * layout.listen_bucket_size + layout.listen_bucket_head),
          std::nullopt, fits_port);
    };
    if (layout.listening) { // by port alone
      const std::uint64_t count = layout.listening->size / layout.listen_bucket_size;
      if (!follow_listeners(net.tcp.plus_wrapping(layout.listening->offset),
                            port_hash(flow.local.port, net.mix) & (count - 1))) {
        return false;
      }
      continue;
    }
    const auto bucket_of = [&](const Endpoint &local) {
      return listen_hash(local, net.mix) & tcp.number(layout.listening2_mask);
    };
    const std::uint64_t exact = bucket_of(flow.local);
    const std::uint64_t any = bucket_of({{flow.local.address.family, {}}, flow.local.port});
    if (!follow_listeners(tcp.pointer(layout.listening2), exact) ||
        (any != exact && !follow_listeners(tcp.pointer(layout.listening2), any))) {
      return false;
    }
  }
  return true;
}

std::optional<std::vector<Sock>> FlowSockets::find(const FlowTuple &flow,
                                                   KernelReader &reader) const {
  const Kind kind = kind_of(flow, true);
  if ((flow.protocol != kTcp && flow.protocol != kUdp) || !is_trusted(kind)) {
    return std::nullopt;
  }
  const auto nets = namespaces(reader);
  if (!nets) {
    return std::nullopt;
  }
  Gather into(layout_, *nets, reader);
  if (!gather(kind, flow, into)) {
    return std::nullopt;
  }
  if (std::ranges::any_of(into.found, [](const Sock &sock) {
        return is_connected(sock) && !sock.socket.is_null();
      })) {
    return std::move(into.found);
  }
  if (kind != Kind::Udp && (!is_trusted(Kind::Listening) || !gather(Kind::Listening, flow, into))) {
    return std::nullopt;
  }
  for (const auto &raw : {raw_v4_, raw_v6_}) {
    if (raw && !into.add_raw(*raw, flow.protocol)) {
      return std::nullopt;
    }
  }
  return std::move(into.found);
}

void FlowSockets::read_secrets(KernelReader &reader) {
  const auto read = [&](const std::optional<GuestVirtual> &place, std::uint32_t &into) {
    if (place) {
      static_cast<void>(
          reader.read(*place, {reinterpret_cast<std::uint8_t *>(&into), sizeof into}));
    }
  };
  read(secret_places_[0], secrets_.v4);
  read(secret_places_[1], secrets_.v6);
  read(secret_places_[2], secrets_.v6_remote);
}

void FlowSockets::check(std::span<const SocketRow> rows, KernelReader &reader) {
  const auto has_enough = [](const Trials &tried) {
    return tried.found >= kMostTrials || tried.missed != 0;
  };
  if (std::ranges::all_of(trials_, has_enough)) {
    return;
  }
  read_secrets(reader);
  const auto nets = namespaces(reader);
  if (!nets) {
    return;
  }
  SockReader socks(layout_.socket);
  for (const SocketRow &row : rows) {
    const FlowTuple flow = normal_flow_of(row.sock);
    if (!row.in_table || row.sock.raw || (flow.protocol != kTcp && flow.protocol != kUdp)) {
      continue;
    }
    const Kind kind = kind_of(flow, is_connected(row.sock));
    Trials &tried = trials_[static_cast<std::size_t>(kind)];
    Gather into(layout_, *nets, reader);
    if (has_enough(tried) || !gather(kind, flow, into)) {
      continue;
    }
    if (std::ranges::any_of(into.found,
                            [&](const Sock &sock) { return sock.address == row.sock.address; })) {
      ++tried.found;
    } else if (const auto now = socks.read(row.sock.address, reader);
               now && now->is_same_flow(row.sock) && now->state == row.sock.state) {
      ++tried.missed; // it is there, and not where it should be
    }
  }
}

} // namespace outguard::guest
